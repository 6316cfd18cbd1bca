/* symbols_fetch.c - who was asked for, in a list; one server after the other; into a file of the disk. */
#include "symbols_fetch.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/hex.h"
#include "base/mutex.h"
#include "base/table.h"
#include "net/curl/http_curl.h"

/* An object that was asked for. */
typedef struct asked {
    symbols_fetch *of;
    struct asked *next; /* waiting */
    elf_identity id;
    uint64_t again_mono_ns; /* not before; 0: it is waiting or on its way */
    /* of the transfer */
    uint32_t server;
    int fd;
    uint64_t bytes;
    bool is_too_big, has_failed; /* to be kept */
    symbols_fetch_loss loss;     /* why the server before did not help */
    char part[SYMBOLS_DISK_NAME_MAX];
} asked;

struct symbols_fetch {
    symbols_fetch_options options;
    char servers[SYMBOLS_FETCH_URLS][SYMBOLS_FETCH_URL_MAX];
    uint32_t servers_len;
    http_curl *client;
    sonde_mutex mu;
    sonde_table by_id; /* guarded by mu, as the rest */
    asked *first, *last;
    uint32_t waiting, active;
    bool is_closing;
    uint64_t wanted, fetched, bytes, lost[SYMBOLS_FETCH_LOSSES];
    _Atomic uint64_t arrived;
};

static uint64_t now(const symbols_fetch *f)
{
    return f->options.clock->mono_ns(f->options.clock->user);
}

static void write_hex(const elf_identity *id, char out[2 * SYMBOLS_BUILD_ID_MAX + 1])
{
    sonde_hex_bytes(id->build_id, id->build_id_len, out);
    out[2 * id->build_id_len] = '\0';
}

/* ---- the end of a question ---- */

/* What nobody has, or what came, is not asked for again for a while. */
static void settle_locked(symbols_fetch *f, asked *a)
{
    a->again_mono_ns = sonde_deadline(now(f), SYMBOLS_RETRY_NS);
    f->waiting--;
}

static void lose_locked(symbols_fetch *f, asked *a, symbols_fetch_loss why)
{
    f->lost[why]++;
    settle_locked(f, a);
}

static symbols_fetch_loss loss_of(const asked *a, const http_curl_answer *answer)
{
    if (a->is_too_big)
        return SYMBOLS_FETCH_LOST_BIG;
    if (answer->status == SONDE_ERR_TIMEOUT)
        return SYMBOLS_FETCH_LOST_TIMEOUT;
    if (answer->status == SONDE_ERR_CLOSED)
        return SYMBOLS_FETCH_LOST_CLOSED;
    if (answer->status == SONDE_OK && answer->http_status == 404)
        return SYMBOLS_FETCH_LOST_MISSING;
    return SYMBOLS_FETCH_LOST_FAILED;
}

/* ---- transfers ---- */

static void start_next(symbols_fetch *f);
static void ask(symbols_fetch *f, asked *a);

static bool take(void *user, sonde_str part)
{
    asked *a = user;

    a->bytes += part.len;
    a->is_too_big = a->bytes > symbols_disk_file_max_bytes(a->of->options.disk);
    while (!a->is_too_big && part.len > 0) {
        ssize_t n = write(a->fd, part.ptr, part.len);

        if (n < 0 && errno == EINTR)
            continue;
        a->has_failed = n <= 0;
        if (a->has_failed)
            return false;
        part = sonde_str_sub(part, (size_t)n, part.len);
    }
    return !a->is_too_big;
}

/* Whether the file came and is the one that was meant; else a->loss says why not. */
static bool keep_file(asked *a, const http_curl_answer *answer)
{
    bool came = answer->status == SONDE_OK && answer->http_status == 200 && !a->has_failed;
    sonde_status status = symbols_disk_end_debug(a->of->options.disk, a->fd, a->part, &a->id,
                                                 came ? SONDE_OK : SONDE_ERR_CLOSED);

    a->loss = !came                         ? loss_of(a, answer)
              : status == SONDE_ERR_SYNTAX  ? SYMBOLS_FETCH_LOST_WRONG
              : status == SONDE_ERR_TOO_BIG ? SYMBOLS_FETCH_LOST_BIG
                                            : SYMBOLS_FETCH_LOST_FAILED;
    return status == SONDE_OK;
}

static void done(void *user, const http_curl_answer *answer)
{
    asked *a = user;
    symbols_fetch *f = a->of;
    bool is_kept = keep_file(a, answer), goes_on;

    sonde_mutex_lock(&f->mu);
    f->active--;
    goes_on = !is_kept && !f->is_closing && a->server + 1 < f->servers_len;
    if (is_kept) {
        f->fetched++;
        f->bytes += a->bytes;
        settle_locked(f, a);
    } else if (!goes_on) {
        lose_locked(f, a, a->loss);
    } else {
        a->server++;
        f->active++;
    }
    sonde_mutex_unlock(&f->mu);
    if (is_kept)
        atomic_fetch_add_explicit(&f->arrived, 1,
                                  memory_order_release); /* with symbols_fetch_arrived() */
    if (goes_on)
        ask(f, a);
    start_next(f);
}

/* One transfer, which is counted as active already. */
static void ask(symbols_fetch *f, asked *a)
{
    char hex[2 * SYMBOLS_BUILD_ID_MAX + 1], url[SYMBOLS_FETCH_URL_MAX + 128];
    const http_curl_request request = {
        .method = "GET",
        .url = url,
        .timeout_ms = f->options.timeout_ms,
        .take = take,
        .done = done,
        .user = a,
    };
    sonde_status status = SONDE_ERR_SYS;

    write_hex(&a->id, hex);
    (void)snprintf(url, sizeof(url), "%s/buildid/%s/debuginfo", f->servers[a->server], hex);
    a->bytes = 0;
    a->is_too_big = a->has_failed = false;
    a->fd = symbols_disk_begin_debug(f->options.disk, &a->id, a->part);
    if (a->fd >= 0)
        status = http_curl_send(f->client, &request);
    if (status == SONDE_OK)
        return;
    if (a->fd >= 0)
        (void)symbols_disk_end_debug(f->options.disk, a->fd, a->part, &a->id, status);
    sonde_mutex_lock(&f->mu);
    f->active--;
    lose_locked(f, a,
                status == SONDE_ERR_CLOSED ? SYMBOLS_FETCH_LOST_CLOSED : SYMBOLS_FETCH_LOST_FAILED);
    sonde_mutex_unlock(&f->mu);
}

static asked *pop(symbols_fetch *f)
{
    asked *a = NULL;

    sonde_mutex_lock(&f->mu);
    if (f->first && f->active < SYMBOLS_FETCH_AT_ONCE && !f->is_closing) {
        a = f->first;
        f->first = a->next;
        f->last = f->first ? f->last : NULL;
        f->active++;
    }
    sonde_mutex_unlock(&f->mu);
    return a;
}

static void start_next(symbols_fetch *f)
{
    asked *a;

    while ((a = pop(f)) != NULL)
        ask(f, a);
}

/* ---- questions ---- */

/* Answers that are old make room for new questions. */
static void forget_old_locked(symbols_fetch *f)
{
    size_t cursor = 0;
    sonde_table_entry *e;

    while ((e = sonde_table_next(&f->by_id, &cursor)) != NULL) {
        asked *a = e->value;

        if (a->again_mono_ns && a->again_mono_ns <= now(f)) {
            (void)sonde_table_remove(&f->by_id, e->key);
            sonde_free(a);
        }
    }
}

/* NULL: it was asked for already, or there is no room. */
static asked *asked_for_locked(symbols_fetch *f, const elf_identity *id)
{
    char hex[2 * SYMBOLS_BUILD_ID_MAX + 1];
    asked *a;

    write_hex(id, hex);
    a = sonde_table_get(&f->by_id, sonde_str_from(hex));
    if (a)
        return a->again_mono_ns && a->again_mono_ns <= now(f) ? a : NULL;
    if (f->by_id.count >= SYMBOLS_FETCH_ASKED)
        forget_old_locked(f);
    a = f->by_id.count < SYMBOLS_FETCH_ASKED ? sonde_calloc(1, sizeof(*a)) : NULL;
    if (a && sonde_table_put(&f->by_id, sonde_str_from(hex), a) != SONDE_OK) {
        sonde_free(a);
        a = NULL;
    }
    if (!a) {
        f->wanted++;
        f->lost[SYMBOLS_FETCH_LOST_FULL]++;
    }
    return a;
}

void symbols_fetch_want(symbols_fetch *f, const elf_identity *id)
{
    asked *a;

    sonde_mutex_lock(&f->mu);
    a = f->is_closing ? NULL : asked_for_locked(f, id);
    if (a) {
        *a = (asked){ .of = f, .id = *id };
        *(f->last ? &f->last->next : &f->first) = a;
        f->last = a;
        f->wanted++;
        f->waiting++;
    }
    sonde_mutex_unlock(&f->mu);
    start_next(f);
}

uint64_t symbols_fetch_arrived(symbols_fetch *f)
{
    return atomic_load_explicit(&f->arrived, memory_order_acquire); /* with done() */
}

uint32_t symbols_fetch_waiting(symbols_fetch *f)
{
    uint32_t waiting;

    sonde_mutex_lock(&f->mu);
    waiting = f->waiting;
    sonde_mutex_unlock(&f->mu);
    return waiting;
}

/* ---- life ---- */

/* What is not HTTP, or too long, is none. */
static void read_servers(symbols_fetch *f, sonde_str urls)
{
    while (urls.len && f->servers_len < SYMBOLS_FETCH_URLS) {
        sonde_str url = sonde_str_cut(&urls, ' ');

        while (sonde_str_ends(url, SONDE_STR("/")))
            url.len--;
        if ((!sonde_str_starts(url, SONDE_STR("http://")) &&
             !sonde_str_starts(url, SONDE_STR("https://"))) ||
            url.len >= SYMBOLS_FETCH_URL_MAX)
            continue;
        memcpy(f->servers[f->servers_len], url.ptr, url.len);
        f->servers[f->servers_len++][url.len] = '\0';
    }
}

sonde_status symbols_fetch_open(const symbols_fetch_options *options, symbols_fetch **out_fetch,
                                sonde_error *out_error)
{
    const http_curl_options of_client = { .name = "debuginfod",
                                          .max_in_flight = SYMBOLS_FETCH_AT_ONCE + 1,
                                          .egress = options->egress,
                                          .user_agent = options->user_agent };
    symbols_fetch *f = sonde_calloc(1, sizeof(*f));
    sonde_status status;

    if (!f)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "debuginfod");
    f->options = *options;
    if (!f->options.timeout_ms)
        f->options.timeout_ms = SYMBOLS_FETCH_TIMEOUT_MS;
    if (!f->options.clock)
        f->options.clock = &sonde_system_clock;
    sonde_mutex_init(&f->mu, SONDE_RANK_QUEUE);
    sonde_table_init(&f->by_id, SYMBOLS_FETCH_ASKED);
    read_servers(f, options->urls);
    status = f->servers_len ? http_curl_open(&of_client, &f->client, out_error)
                            : sonde_fail(out_error, SONDE_ERR_CONFIG,
                                         "debuginfod: no http:// or https:// address is given");
    if (status != SONDE_OK) {
        symbols_fetch_close(f);
        return status;
    }
    *out_fetch = f;
    return SONDE_OK;
}

void symbols_fetch_close(symbols_fetch *f)
{
    size_t cursor = 0;
    sonde_table_entry *e;

    if (!f)
        return;
    sonde_mutex_lock(&f->mu);
    f->is_closing = true;
    for (; f->first; f->first = f->first->next)
        lose_locked(f, f->first, SYMBOLS_FETCH_LOST_CLOSED);
    sonde_mutex_unlock(&f->mu);
    http_curl_close(f->client, 0);
    while ((e = sonde_table_next(&f->by_id, &cursor)) != NULL)
        sonde_free(e->value);
    sonde_table_done(&f->by_id);
    sonde_mutex_done(&f->mu);
    sonde_free(f);
}

void symbols_fetch_write_json(symbols_fetch *f, sonde_json_writer *w)
{
    static const char *const names[] = {
#define X(name, text) [SYMBOLS_FETCH_LOST_##name] = (text),
        SYMBOLS_FETCH_LOSS_MAP(X)
#undef X
    };

    sonde_mutex_lock(&f->mu);
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "servers", f->servers_len);
    sonde_json_put_u64(w, "wanted", f->wanted);
    sonde_json_put_u64(w, "fetched", f->fetched);
    sonde_json_put_u64(w, "bytes", f->bytes);
    sonde_json_put_u64(w, "waiting", f->waiting);
    sonde_json_key(w, SONDE_STR("lost"));
    sonde_json_begin_object(w);
    for (size_t i = 0; i < SYMBOLS_FETCH_LOSSES; i++)
        sonde_json_put_u64(w, names[i], f->lost[i]);
    sonde_json_end_object(w);
    sonde_json_end_object(w);
    sonde_mutex_unlock(&f->mu);
}
