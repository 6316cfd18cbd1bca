/* bench_base.c - what the headers of common/base promise to cost.
 *
 *   {"bench":"arena_alloc","ns_per_op":...,"threads":1,"n":...}
 *
 * Each line is the fastest of ROUNDS rounds, so that a busy machine shows the code and not its
 * neighbours. */
#include <stdio.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/counter.h"
#include "base/digest.h"
#include "base/format.h"
#include "base/handover.h"
#include "base/parse.h"
#include "base/queue.h"
#include "base/rng.h"
#include "base/table.h"

#define ROUNDS 15
#define OPS    100000u

static volatile uint64_t sink; /* keeps results alive */

static void arena_alloc(void)
{
    sonde_arena a;
    unsigned i;

    sonde_arena_init(&a, (size_t)64 << 20);
    for (i = 0; i < OPS; i++) {
        if (i % 500 == 0)
            sonde_arena_reset(&a);
        sink += (uintptr_t)sonde_arena_alloc(&a, 48);
    }
    sonde_arena_done(&a);
}

static void random_u64(void)
{
    unsigned i;

    for (i = 0; i < OPS; i++)
        sink += sonde_random_u64();
}

static void counter_add(void)
{
    static sonde_counter counter;
    unsigned i;

    for (i = 0; i < OPS; i++)
        sonde_counter_add(&counter, 1);
}

static void hash_24_bytes(void)
{
    char key[24] = "shop.example/orders/:id";
    unsigned i;

    for (i = 0; i < OPS; i++) {
        key[0] = (char)i;
        sink += sonde_hash(0, key, sizeof(key));
    }
}

static void table_get(void)
{
    sonde_table t;
    char key[24];
    unsigned i;

    sonde_table_init(&t, 1000);
    for (i = 0; i < 1000; i++) {
        size_t len = sonde_format_u64(i, key);

        if (sonde_table_put(&t, (sonde_str){ key, len }, &t) != SONDE_OK)
            break;
    }
    for (i = 0; i < OPS; i++) {
        key[0] = (char)('1' + i % 9);
        key[1] = (char)('0' + i % 7);
        sink += (uintptr_t)sonde_table_get(&t, (sonde_str){ key, 2 });
    }
    sonde_table_done(&t);
}

static void handover_push_take(void)
{
    static sonde_handover list;
    sonde_handover_link item;
    unsigned i;

    for (i = 0; i < OPS; i++) {
        (void)sonde_handover_push(&list, &item);
        sink += (uintptr_t)sonde_handover_take_all(&list);
    }
}

static void queue_push_pop(void)
{
    sonde_queue q;
    size_t bytes;
    void *item;
    unsigned i;

    if (sonde_queue_init(&q, 16, 1024) != SONDE_OK)
        return;
    for (i = 0; i < OPS; i++) {
        if (sonde_queue_push(&q, &q, 1) != SONDE_OK ||
            sonde_queue_pop(&q, 0, &item, &bytes) != SONDE_OK)
            break;
    }
    sonde_queue_done(&q);
}

static void format_double_short(void)
{
    char out[SONDE_DOUBLE_MAX_LEN];
    unsigned i;

    for (i = 0; i < OPS; i++)
        sink += sonde_format_double((double)i / 8, out);
}

static void format_double_long(void)
{
    char out[SONDE_DOUBLE_MAX_LEN];
    unsigned i;

    for (i = 0; i < OPS; i++)
        sink += sonde_format_double(1.0 / (double)(i + 3), out);
}

static void parse_double(void)
{
    double v = 0;
    unsigned i;

    for (i = 0; i < OPS; i++)
        sink += sonde_parse_double(SONDE_STR("12345.678"), &v) == SONDE_OK;
}

static const struct {
    const char *name;
    void (*run)(void);
} benches[] = {
    { "arena_alloc", arena_alloc },
    { "random_u64", random_u64 },
    { "counter_add", counter_add },
    { "hash_24_bytes", hash_24_bytes },
    { "table_get", table_get },
    { "handover_push_take", handover_push_take },
    { "queue_push_pop", queue_push_pop },
    { "format_double_short", format_double_short },
    { "format_double_long", format_double_long },
    { "parse_double", parse_double },
};

int main(void)
{
    size_t i;
    int round;

    for (i = 0; i < sizeof(benches) / sizeof(benches[0]); i++) {
        uint64_t best = UINT64_MAX;

        for (round = 0; round < ROUNDS; round++) {
            uint64_t start = sonde_mono_ns(), ns;

            benches[i].run();
            ns = sonde_mono_ns() - start;
            best = ns < best ? ns : best;
        }
        printf("{\"bench\":\"%s\",\"ns_per_op\":%.1f,\"threads\":1,\"n\":%u}\n", benches[i].name,
               (double)best / OPS, OPS);
    }
    return 0;
}
