/* telemetry_logs.c - a small table of wordings, filled without a lock. */
#include "telemetry_logs.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"

#include "counters.h"

typedef struct wording {
    _Atomic(const char *) text; /* static; NULL: free */
    _Atomic int level;
    _Atomic uint32_t count;
    uint32_t told; /* of the flusher: how many the last event said */
} wording;

static wording wordings[SONDE__TELEMETRY_LOGS];

/* The place of that wording, or a free one that is now its; NULL: none. */
static wording *place_of(const char *text)
{
    size_t i;

    for (i = 0; i < SONDE__TELEMETRY_LOGS; i++) {
        const char *there = NULL;

        if (atomic_compare_exchange_strong_explicit(&wordings[i].text, &there, text,
                                                    memory_order_relaxed, memory_order_relaxed) ||
            there == text)
            return &wordings[i];
    }
    return NULL;
}

static void note(sonde_log_level level, const char *text)
{
    wording *w = place_of(text);

    sonde__count(level == SONDE_LOG_ERROR ? SONDE__LOGS_ERROR : SONDE__LOGS_WARN, 1);
    if (!w) {
        sonde__count(SONDE__TELEMETRY_DROPPED, 1);
        return;
    }
    atomic_store_explicit(&w->level, (int)level, memory_order_relaxed);
    /* pairs with sonde__telemetry_logs_put() */
    atomic_fetch_add_explicit(&w->count, 1, memory_order_release);
}

void sonde__telemetry_logs_open(void)
{
    sonde_log_set_watch(note);
}

void sonde__telemetry_logs_close(void)
{
    sonde_log_set_watch(NULL);
    sonde__telemetry_logs_forget();
}

void sonde__telemetry_logs_forget(void)
{
    size_t i;

    for (i = 0; i < SONDE__TELEMETRY_LOGS; i++) {
        atomic_store_explicit(&wordings[i].count, 0, memory_order_relaxed);
        wordings[i].told = 0;
    }
}

static void put_entry(sonde_json_writer *w, const wording *what, int64_t now_unix_ns)
{
    int level = atomic_load_explicit(&what->level, memory_order_relaxed);

    sonde_json_begin_object(w);
    sonde_json_put_str(w, "message",
                       sonde_str_from(atomic_load_explicit(&what->text, memory_order_relaxed)));
    sonde_json_put_str(w, "level",
                       level == SONDE_LOG_ERROR ? SONDE_STR("ERROR") : SONDE_STR("WARN"));
    sonde_json_put_u64(w, "count", what->told);
    sonde_json_put_i64(w, "tracer_time", now_unix_ns / SONDE_NS_PER_S);
    sonde_json_end_object(w);
}

void sonde__telemetry_logs_put(sonde__telemetry_request *r, int64_t now_unix_ns)
{
    sonde_json_writer *w = NULL;
    size_t i;

    for (i = 0; i < SONDE__TELEMETRY_LOGS; i++) {
        /* pairs with note() */
        wordings[i].told = atomic_load_explicit(&wordings[i].count, memory_order_acquire);
        if (wordings[i].told == 0)
            continue;
        if (!w) {
            w = sonde__telemetry_begin(r, "logs");
            sonde_json_begin_object(w);
            sonde_json_key(w, SONDE_STR("logs"));
            sonde_json_begin_array(w);
        }
        put_entry(w, &wordings[i], now_unix_ns);
    }
    if (!w)
        return;
    sonde_json_end_array(w);
    sonde_json_end_object(w);
    sonde__telemetry_end(r);
}

void sonde__telemetry_logs_told(void)
{
    size_t i;

    for (i = 0; i < SONDE__TELEMETRY_LOGS; i++) {
        atomic_fetch_sub_explicit(&wordings[i].count, wordings[i].told, memory_order_relaxed);
        wordings[i].told = 0;
    }
}
