/* area.c - areas come and go with threads; activation shows in the context record. */
#include "area.h"

#include <pthread.h>
#include <string.h>

#include "sonde/context.h"

#include "base/alloc.h"
#include "base/mutex.h"
#include "base/rng.h"

#include "ctx_record.h"
#include "profiler_link.h"
#include "span_cost.h"
#include "tracer.h"

__thread sonde__area *sonde__self __attribute__((tls_model("initial-exec"))) = NULL;
_Atomic(sonde__area *) sonde__areas;

#define MORE_PLACES_BYTES (SONDE__PLACES_MAX * sizeof(sonde__place))
#define AREA_BYTES        (sizeof(sonde__area) + sizeof(sonde_thread_ctx))

static sonde_mutex mu = SONDE_MUTEX_INIT(SONDE_RANK_POOL);
static sonde__area *idle;      /* guarded by mu */
static uint64_t ceiling_bytes; /* guarded by mu */
static _Atomic uint64_t bytes; /* written under mu */
static pthread_key_t at_thread_end;
static _Atomic uint64_t fixed_seed; /* of the next thread's ids; 0: random */
static bool has_key;                /* guarded by mu */

static void release_places(sonde__area *a);

static void end_of_thread(void *area)
{
    sonde__area *a = (sonde__area *)area;

    release_places(a);
    sonde__cells_give_all(&a->cells);
    if (a->record)
        sonde__ctx_record_retract(a->record);
    a->shown_segment = 0;
    sonde__self = NULL;
    sonde_mutex_lock(&mu);
    sonde__blackbox_give(&a->seat);
    a->record = NULL;
    a->taken = false;
    a->next_idle = idle;
    idle = a;
    sonde_mutex_unlock(&mu);
}

void sonde__areas_open(uint64_t max_bytes, bool with_file)
{
    sonde_mutex_lock(&mu);
    (void)sonde__blackbox_map(with_file);
    ceiling_bytes = max_bytes;
    if (!has_key)
        has_key = pthread_key_create(&at_thread_end, end_of_thread) == 0;
    sonde_mutex_unlock(&mu);
}

uint64_t sonde__areas_bytes(void)
{
    return atomic_load_explicit(&bytes, memory_order_relaxed);
}

static bool admit_locked(uint64_t more)
{
    uint64_t now = atomic_load_explicit(&bytes, memory_order_relaxed) + more;

    if (now > ceiling_bytes)
        return false;
    atomic_store_explicit(&bytes, now, memory_order_relaxed);
    return true;
}

static void take_back_locked(uint64_t less)
{
    uint64_t now = atomic_load_explicit(&bytes, memory_order_relaxed) - less;

    atomic_store_explicit(&bytes, now, memory_order_relaxed);
}

static sonde__area *new_area_locked(void)
{
    sonde__area *head = atomic_load_explicit(&sonde__areas, memory_order_relaxed);
    sonde__area *a;

    if (!admit_locked(AREA_BYTES))
        return NULL;
    a = (sonde__area *)sonde_calloc(1, sizeof(*a));
    if (!a) {
        take_back_locked(AREA_BYTES);
        return NULL;
    }
    a->places = a->few;
    a->cells.home = &a->returned;
    atomic_fetch_add_explicit(&sonde__pool.lists, 1, memory_order_relaxed);
    a->next = head;
    /* pairs with the walks over all areas */
    atomic_store_explicit(&sonde__areas, a, memory_order_release);
    return a;
}

static sonde__area *take_area(void)
{
    sonde__area *a = NULL;

    sonde_mutex_lock(&mu);
    if (has_key) {
        a = idle;
        if (a)
            idle = a->next_idle;
        else
            a = new_area_locked();
    }
    if (a) {
        a->taken = true;
        a->seat = sonde__blackbox_take();
        a->record = a->seat.record;
    }
    sonde_mutex_unlock(&mu);
    return a;
}

/* Golden-ratio steps: the seeds of threads are as far apart as can be. */
static uint64_t next_seed(void)
{
    if (atomic_load_explicit(&fixed_seed, memory_order_relaxed) == 0)
        return sonde_random_u64();
    return atomic_fetch_add_explicit(&fixed_seed, UINT64_C(0x9e3779b97f4a7c15) | 1,
                                     memory_order_relaxed);
}

void sonde__area_seed(uint64_t seed)
{
    atomic_store_explicit(&fixed_seed, seed, memory_order_relaxed);
    if (sonde__self)
        sonde__self->ids = next_seed();
}

__attribute__((noinline, cold)) sonde__area *sonde__area_make(void)
{
    sonde__area *a = take_area();

    if (!a) {
        sonde__count(SONDE__THREADS_REFUSED, 1);
        return NULL;
    }
    (void)pthread_setspecific(at_thread_end, a);
    sonde__self = a;
    a->ids = next_seed();
    if (!a->record)
        sonde__count_own(&a->counts, SONDE__CTX_RECORDS_FULL, 1);
    else if (!sonde__ctx_record_publish(a->record))
        sonde__count_own(&a->counts, SONDE__CTX_FOREIGN_PUBLISHER, 1);
    sonde__cost_begins(a);
    sonde__profiler_tell(a->record);
    return a;
}

sonde_thread_ctx *sonde__areas_record(uint32_t i, uint32_t *out_tid)
{
    sonde_thread_ctx *r;

    sonde_mutex_lock(&mu);
    r = sonde__blackbox_record(i);
    if (r)
        *out_tid = atomic_load_explicit(&r->tid, memory_order_relaxed);
    sonde_mutex_unlock(&mu);
    return r;
}

void sonde__areas_renew(void)
{
    sonde_mutex_lock(&mu);
    (void)sonde__blackbox_renew(sonde__settings(), sonde__runtime_id());
    sonde_mutex_unlock(&mu);
}

bool sonde__area_grow(sonde__area *a)
{
    sonde__place *more;
    bool admitted;

    if (a->places != a->few)
        return false;
    sonde_mutex_lock(&mu);
    admitted = admit_locked(MORE_PLACES_BYTES);
    sonde_mutex_unlock(&mu);
    if (!admitted)
        return false;
    more = (sonde__place *)sonde_malloc(MORE_PLACES_BYTES);
    if (!more)
        return false;
    memcpy(more, a->few, sizeof(a->few));
    a->places = more;
    return true;
}

void sonde__area_show_trace(sonde__area *a, const sonde__segment *s)
{
    sonde__ctx_trace trace = { s->trace_id_high, s->trace_id_low,
                               atomic_load_explicit(&s->local_root_id, memory_order_relaxed) };

    sonde__ctx_record_put_trace(a->record, &trace);
    a->shown_segment = sonde__cell_token(s);
}

void sonde__area_remove(sonde__area *a, uint32_t i)
{
    a->depth--;
    if (i < a->depth)
        memmove(&a->places[i], &a->places[i + 1], (a->depth - i) * sizeof(a->places[0]));
}

void sonde__area_hold(sonde__area *a, const sonde__span *span)
{
    uint64_t token = sonde__cell_token(span);
    uint32_t i;

    for (i = 0; i < a->depth; i++) {
        sonde__place *p = &a->places[i];

        if (p->token != token || p->holds)
            continue;
        sonde__segment_get(span->segment);
        p->service = span->service;
        p->baggage = sonde__baggage_get(span->baggage);
        p->holds = true;
    }
}

void sonde__area_let_go(sonde__area *a, const sonde__place *p)
{
    sonde__segment_put(p->segment, &a->cells);
    sonde__baggage_put(p->baggage, &a->cells);
}

static void release_places(sonde__area *a)
{
    while (a->depth > 0) {
        sonde__place *p = &a->places[--a->depth];

        if (!p->span)
            sonde_context_release((sonde_context *)(uintptr_t)p->token);
        else if (p->holds)
            sonde__area_let_go(a, p);
    }
    a->void_depth = 0;
}

static void reclaim_dead_locked(void)
{
    sonde__area *a = atomic_load_explicit(&sonde__areas, memory_order_acquire);

    for (; a; a = a->next) {
        if (!a->taken || a == sonde__self)
            continue;
        a->depth = 0;     /* whatever these places held belongs to the parent's life */
        a->cells.len = 0; /* the thread may have been changing it: a few cells are lost */
        a->void_depth = 0;
        a->shown_segment = 0;
        a->record = NULL;
        a->taken = false;
        a->next_idle = idle;
        idle = a;
    }
}

/* The one thread there is. */
static void area_goes_on(void)
{
    sonde__area *a = sonde__self;

    if (a)
        a->ids = sonde_random_u64();
    if (!sonde__blackbox_postfork_child(a ? &a->seat : NULL)) {
        sonde__ctx_record_unpublish(a->record);
        a->seat = (sonde__seat){ .record = NULL };
        a->record = NULL;
    }
    if (a && a->record)
        sonde__ctx_record_set_tid(a->record);
}

SONDE_NO_TSA void sonde__areas_prefork(void)
{
    sonde_mutex_lock(&mu);
}

SONDE_NO_TSA void sonde__areas_postfork(void)
{
    sonde_mutex_unlock(&mu);
}

SONDE_NO_TSA void sonde__areas_postfork_child(void)
{
    sonde_rng_postfork_child();
    area_goes_on();
    reclaim_dead_locked();
    sonde_mutex_unlock(&mu);
}
