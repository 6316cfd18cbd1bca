/* collector.c - rings one after the other, records one after the other. */
#include "collector.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include "arena.h"
#include "counts.h"
#include "endpoints.h"
#include "events.h"
#include "heap.h"
#include "kernel.h"
#include "maps.h"
#include "proc.h"
#include "samplers.h"
#include "slot.h"

#define NAMES_NS (10 * (uint64_t)SONDE_NS_PER_S)
#define YOUNG_NS (2 * (uint64_t)SONDE_NS_PER_S)

sonde_status sonde_prof__collector_init(sonde_prof__collector *c, const sonde_prof__config *config)
{
    memset(c, 0, sizeof(*c));
    c->config = config;
    sonde_prof__window_init(&c->window, 0);
    sonde_prof__living_init(&c->living);
    return sonde_prof__dict_init(&c->dict);
}

void sonde_prof__collector_done(sonde_prof__collector *c)
{
    sonde_prof__dict_done(&c->dict);
    sonde_prof__window_done(&c->window);
    sonde_prof__living_done(&c->living);
    sonde_prof__kernel_forget();
    sonde_free(c->endpoints);
    c->endpoints = NULL;
    c->endpoints_len = c->endpoints_cap = 0;
}

/* -- rings ------------------------------------------------------------------------------------------ */

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static sonde_str name_of(const sonde_prof__slot *slot)
{
    return (sonde_str){ slot->name, strnlen(slot->name, sizeof(slot->name)) };
}

/* One that has ended since is known by its slot, unless another thread has that already. */
static uint32_t thread_of(sonde_prof__collector *c, const sonde_prof__slot *slot,
                          const sonde_prof__sample *s)
{
    uint32_t tid = atomic_load_explicit(&slot->tid, memory_order_relaxed), before, number;
    bool is_own = s->kind != SONDE_PROF__RELEASE && !slot->is_reserved;
    const sonde_prof__slot *about =
        s->tid == tid || (tid == 0 && is_own) ? slot : sonde_prof__slot_find(s->tid);

    if (sonde_prof__is_nobodys(s))
        return 0;
    before = c->dict.threads_len;
    number = sonde_prof__dict_thread(&c->dict, s->tid, about ? about->start_mono_ns : 0);
    if (about && (number > before || (tid == 0 && is_own)))
        sonde_prof__dict_name_thread(&c->dict, number, name_of(about));
    return number;
}

static void take_sample(sonde_prof__collector *c, const sonde_prof__slot *slot,
                        const sonde_prof__sample *s)
{
    uint64_t before = c->window.samples[s->kind];

    sonde_prof__window_add(&c->window, &c->dict, s, thread_of(c, slot, s));
    if (s->kind == SONDE_PROF__ALLOC && c->config->heap)
        sonde_prof__living_note(&c->living, &c->dict, s);
    add(&c->taken, s->events);
    add(c->window.samples[s->kind] != before ? &c->in_window : &c->lost, s->events);
}

/* What found no room in the ring. */
static void take_losses(sonde_prof__collector *c, sonde_prof__ring *r)
{
    uint32_t kind;

    for (kind = 1; kind < SONDE_PROF__KINDS; kind++) {
        uint32_t n = atomic_exchange_explicit(&r->lost[kind], 0, memory_order_relaxed);

        if (n == 0)
            continue;
        c->window.lost[kind] += n;
        c->window.lost_value[kind] +=
            atomic_exchange_explicit(&r->lost_value[kind], 0, memory_order_relaxed);
        add(&c->taken, n);
        add(&c->lost, n);
    }
}

void sonde_prof__collector_empty(sonde_prof__collector *c)
{
    uint32_t i;

    for (i = 0; i < sonde_prof__slots_count(); i++) {
        sonde_prof__slot *slot = sonde_prof__slot_at(i);
        const sonde_prof__sample *s;

        while ((s = sonde_prof__ring_peek(&slot->ring)) != NULL) {
            if (s->kind > 0 && s->kind < SONDE_PROF__KINDS)
                take_sample(c, slot, s);
            sonde_prof__ring_pop(&slot->ring);
        }
        take_losses(c, &slot->ring);
    }
}

/* -- names, endpoints ------------------------------------------------------------------------------- */

/* Threads are mostly named a moment after they began: then often, later seldom.  Of one that has ended the slot knows the
 * last name, until another thread has it. */
static void read_name(sonde_prof__collector *c, uint32_t number, const sonde_prof__slot *slot,
                      uint64_t now)
{
    sonde_prof__thread *t = &c->dict.threads[number - 1];
    char name[sizeof(slot->name) + 1];
    size_t len = sonde_prof__proc_read_task(t->tid, "comm", name, sizeof(name));

    t->name_at_ns = now + (now - t->start_mono_ns < YOUNG_NS ? 0 : NAMES_NS);
    sonde_prof__dict_name_thread(
        &c->dict, number, len > 1 ? (sonde_str){ name, len - 1 } : name_of(slot)); /* "name\n" */
}

/* Of threads that have been sampled. */
static void read_names(sonde_prof__collector *c, uint64_t now)
{
    uint32_t i, number;

    for (i = 0; i < sonde_prof__slots_count(); i++) {
        const sonde_prof__slot *slot = sonde_prof__slot_at(i);
        uint32_t tid = atomic_load_explicit(&slot->tid, memory_order_relaxed);

        number = tid ? sonde_prof__dict_has_thread(&c->dict, tid, slot->start_mono_ns) : 0;
        if (number && now >= c->dict.threads[number - 1].name_at_ns)
            read_name(c, number, slot, now);
    }
}

static bool room_for_endpoint(sonde_prof__collector *c)
{
    uint32_t cap = c->endpoints_cap ? c->endpoints_cap * 2 : 64;
    sonde_prof__endpoint *grown;

    if (c->endpoints_len < c->endpoints_cap)
        return true;
    if (cap > SONDE_PROF__COLLECTOR_ENDPOINTS)
        return false;
    grown = (sonde_prof__endpoint *)sonde_realloc(c->endpoints, cap * sizeof(*grown));
    if (!grown)
        return false;
    c->endpoints = grown;
    c->endpoints_cap = cap;
    return true;
}

static void take_endpoint(void *user, const sonde_prof__report *r)
{
    sonde_prof__collector *c = user;

    if (!room_for_endpoint(c)) {
        SONDE_PROF__COUNT(endpoints_lost);
        return;
    }
    c->endpoints[c->endpoints_len++] = (sonde_prof__endpoint){
        .local_root_id = r->local_root_id,
        .resource = sonde_prof__dict_string(&c->dict, (sonde_str){ r->text, r->type_at }),
        .type = sonde_prof__dict_string(
            &c->dict, (sonde_str){ r->text + r->type_at, r->text_len - r->type_at }),
        .finished = c->config->endpoint_counts ? r->finished : 0,
    };
}

void sonde_prof__collector_drain(sonde_prof__collector *c, uint64_t now_mono_ns)
{
    if (sonde_prof__maps_refresh(now_mono_ns) != SONDE_OK)
        SONDE_LOG(SONDE_LOG_WARN, "loaded objects not read: the profile has holes");
    sonde_prof__collector_empty(c);
    read_names(c, now_mono_ns);
    if (c->config->endpoints)
        sonde_prof__endpoints_take(take_endpoint, c);
    c->drain_ns += sonde_mono_ns() - now_mono_ns;
}

/* -- windows ---------------------------------------------------------------------------------------- */

static uint64_t count(const _Atomic uint64_t *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

void sonde_prof__collector_stats(const sonde_prof__collector *c, sonde_prof__stats *s)
{
    sonde_prof__maps_counts maps = sonde_prof__maps_counted();

    memset(s, 0, sizeof(*s));
    memcpy(s->samples, c->window.samples, sizeof(s->samples));
    memcpy(s->lost, c->window.lost, sizeof(s->lost));
    memcpy(s->lost_value, c->window.lost_value, sizeof(s->lost_value));
    memcpy(s->ends, c->window.ends, sizeof(s->ends));
    s->value[SONDE_PROF__STAT_HANDLER_NS] = count(&sonde_prof__count.handler_ns);
    s->value[SONDE_PROF__STAT_HANDLER_MAX_NS] = count(&sonde_prof__count.handler_max_ns);
    s->value[SONDE_PROF__STAT_HOOK_NS] = count(&sonde_prof__count.hook_ns);
    s->value[SONDE_PROF__STAT_DRAIN_NS] = c->drain_ns;
    s->value[SONDE_PROF__STAT_ARENA_BYTES] = sonde_prof__arena_bytes();
    s->value[SONDE_PROF__STAT_LIVE_ENTRIES] = sonde_prof__live_len();
    s->value[SONDE_PROF__STAT_LIVE_FULL] = sonde_prof__live_full();
    s->value[SONDE_PROF__STAT_UNKNOWN_THREAD] = count(&sonde_prof__count.unknown_thread);
    s->value[SONDE_PROF__STAT_FOREIGN_SIGNALS] = count(&sonde_prof__count.foreign_signals);
    s->value[SONDE_PROF__STAT_TIMER_FAILURES] = count(&sonde_prof__count.timer_failures);
    s->value[SONDE_PROF__STAT_REFRESHES] = maps.refreshes;
    s->value[SONDE_PROF__STAT_TABLE_BYTES] = maps.table_bytes;
    s->value[SONDE_PROF__STAT_FP_GUESSED] = count(&sonde_prof__count.fp_guessed);
    s->value[SONDE_PROF__STAT_WALL_DISCARDED] = count(&sonde_prof__count.wall_discarded);
    s->value[SONDE_PROF__STAT_WALL_REUSED] = count(&sonde_prof__count.wall_reused);
    s->value[SONDE_PROF__STAT_CPU_ENGINE] = sonde_prof__events_mode();
    s->value[SONDE_PROF__STAT_EVENT_FAILURES] = count(&sonde_prof__count.event_failures);
}

void sonde_prof__collector_next(sonde_prof__collector *c, uint32_t timed_max)
{
    c->window.timed_max = timed_max;
    sonde_prof__window_clear(&c->window);
    c->endpoints_len = 0;
    c->drain_ns = 0;
    atomic_store_explicit(&c->in_window, 0, memory_order_relaxed);
}

void sonde_prof__collector_restart(sonde_prof__collector *c)
{
    if (sonde_prof__dict_restart(&c->dict) != SONDE_OK)
        SONDE_LOG(SONDE_LOG_WARN, "out of memory: the profile has holes");
}

void sonde_prof__collector_postfork_child(sonde_prof__collector *c)
{
    sonde_prof__collector_next(c, c->window.timed_max);
    sonde_prof__collector_restart(c);
    atomic_store_explicit(&c->taken, 0, memory_order_relaxed);
    atomic_store_explicit(&c->lost, 0, memory_order_relaxed);
}
