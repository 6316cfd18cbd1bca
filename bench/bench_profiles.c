/* bench_profiles.c - the agent's side of the profiler: nanoseconds a row to take a batch, milliseconds to make the
 * profile of a window with a timeline of 60 000 rows, and nanoseconds an address to find its name. */
#include <stdio.h>
#include <string.h>

#include "agent/profiles/pprof.h"
#include "agent/profiles/session.h"
#include "agent/profiles/symbolize.h"
#include "base/clock.h"
#include "codec/compress/compress.h"
#include "tests/unit/agent/profiles/batch.h"

#define ROWS    16384u /* of a batch: ten seconds of 16 busy threads */
#define BATCHES 4u
#define NODES   3000u
#define THREADS 16u

static void put_batch(sonde_buf *b, uint64_t seq, bool first)
{
    put(b, "[u{ u u u b u u u u u u u u u u", 2, U(0), 7, U(0), U(1), U(1), SESSION_A, (size_t)16,
        U(2), seq, U(3), seq * 10 * SECOND, U(4), (seq * 10 + 10) * SECOND, U(5), U(1), U(18),
        U(1));
    if (first) {
        put(b, "[u[", 2, U(6), (int)THREADS);
        for (uint64_t i = 0; i < THREADS; i++)
            put(b, "[uuuu", 4, i, 100 + i, U(0), U(0));
        put(b, "[uu[", 3, U(4), U(1), (int)(NODES * 3));
        for (uint64_t i = 1; i <= NODES; i++)
            put(b, "uuu", i % 40 == 1 ? U(0) : i - 1, U(0), 0x1000 + i % 700);
    }
    put(b, "[uuu[", 4, U(5), U(1), seq * 10 * SECOND, (int)(6 * 8000u));
    for (uint64_t i = 0; i < 8000; i++)
        put(b, "uuuuuu", U(600000), i % THREADS, U(0), 1 + i * 7 % NODES, U(1), U(10101010));
    put(b, "[uuu[", 4, U(5), U(1), seq * 10 * SECOND, (int)(6 * (ROWS - 8000u)));
    for (uint64_t i = 0; i < ROWS - 8000; i++)
        put(b, "uuuuuu", U(600000), i % THREADS, U(0), 1 + i * 11 % NODES, U(1), U(10101010));
    put_end(b, seq);
}

static uint64_t take(session *s, profile *p, sonde_str body)
{
    uint64_t start = sonde_mono_ns();
    batch_facts f;

    if (batch_check(body, &f, NULL) != SONDE_OK || session_greet(s, &f.hello) != SONDE_OK ||
        session_merge(s, body, p) != SONDE_OK)
        printf("{\"bench\":\"profiles\",\"error\":\"a batch was not taken\"}\n");
    return sonde_mono_ns() - start;
}

static void measure_profile(void)
{
    session *s = NULL;
    profile *p = NULL;
    sonde_buf body, plain, packed;
    uint64_t taken = 0, start, encoded, compressed;

    sonde_buf_init(&body, 16u << 20);
    sonde_buf_init(&plain, PPROF_MAX_BYTES);
    sonde_buf_init(&packed, PPROF_MAX_BYTES);
    if (session_open((const uint8_t *)SESSION_A, NULL, &s) != SONDE_OK ||
        profile_open(&p) != SONDE_OK)
        return;
    for (uint64_t seq = 1; seq <= BATCHES; seq++) {
        sonde_buf_reset(&body);
        put_batch(&body, seq, seq == 1);
        taken += take(s, p, sonde_buf_str(&body));
    }
    start = sonde_mono_ns();
    if (pprof_encode(p, &(pprof_options){ .start_unix_ns = 1 }, &plain) != SONDE_OK)
        return;
    encoded = sonde_mono_ns() - start;
    if (sonde_compress(SONDE_ENCODING_ZSTD, 1, sonde_buf_str(&plain), &packed) != SONDE_OK)
        return;
    compressed = sonde_mono_ns() - start - encoded;
    printf("{\"bench\":\"profiles_take_ns_per_row\",\"value\":%.1f}\n",
           (double)taken / (ROWS * BATCHES));
    printf("{\"bench\":\"profiles_encode_ms\",\"value\":%.2f,\"bytes\":%zu}\n",
           (double)encoded / 1e6, plain.len);
    printf("{\"bench\":\"profiles_compress_ms\",\"value\":%.2f,\"bytes\":%zu}\n",
           (double)compressed / 1e6, packed.len);
    session_close(s);
    profile_close(p);
    sonde_buf_done(&body);
    sonde_buf_done(&plain);
    sonde_buf_done(&packed);
}

/* Names of this program's own libc, from its symbol table or debug file, whatever is installed. */
static void measure_symbols(bool with_lines)
{
    const symbol_request libc = { .path = SONDE_STR("/lib/x86_64-linux-gnu/libc.so.6") };
    symbol_line lines[SYMBOLS_LINES_MAX];
    symbols *s = NULL;
    symbol_object *o;
    uint64_t start, index, found = 0, asked = 0;

    if (symbols_open(&(symbols_options){ .lines = with_lines }, &s) != SONDE_OK)
        return;
    o = symbols_get(s, &libc);
    symbols_open_files(s);
    start = sonde_mono_ns();
    found += symbols_resolve(o, 0x30000, lines) > 0;
    index = sonde_mono_ns() - start;
    start = sonde_mono_ns();
    for (uint64_t at = 0x28000; at < 0x150000; at += 61, asked++)
        found += symbols_resolve(o, at, lines) > 0;
    printf("{\"bench\":\"profiles_%s_index_ms\",\"value\":%.2f}\n",
           with_lines ? "lines" : "symbols", (double)index / 1e6);
    printf("{\"bench\":\"profiles_%s_ns_per_address\",\"value\":%.0f,\"found\":%.3f}\n",
           with_lines ? "lines" : "symbols", (double)(sonde_mono_ns() - start) / (double)asked,
           (double)found / (double)asked);
    symbol_object_put(o);
    symbols_close(s);
}

int main(void)
{
    measure_profile();
    measure_symbols(false);
    measure_symbols(true);
    return 0;
}
