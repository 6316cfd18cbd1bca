/* threads.c - slots taken and given back.
 *
 *   free ──take()──▶ on the list of its tid ──release()──▶ free
 *
 * A ring stays with its slot: what the next thread of the slot writes comes behind what is left of the last one's, and
 * every record says whose it is. */
#include "threads.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"

#include "arena.h"
#include "counts.h"
#include "cpu_timer.h"
#include "events.h"
#include "files.h"
#include "hooks.h"
#include "lock.h"
#include "proc.h"
#include "sampler.h"
#include "samplers.h"
#include "slot_table.h"
#include "waiters.h"

#define OURS_MAX             8u
#define SHARE_MAX            64u
#define MAIN_STACK_BYTES_MAX (UINT64_C(64) << 20)
#define PAGE_BYTES           UINT64_C(4096)

static sonde_prof__lock lock;
static uint32_t first_free;             /* number + 1; guarded by lock, like all here */
static _Atomic uint32_t ours[OURS_MAX]; /* threads of ours */
static _Atomic uint64_t ended_ns;       /* CPU time of those that have ended */
static uint32_t scan_number;
static uint32_t used; /* slots that are not free */
static _Atomic bool started;
static bool lock_is_ours; /* between prefork and postfork */

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t end_key; /* its destructor is how a thread ends */
static bool have_key;

static uint32_t my_tid(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

/* -- the lists -------------------------------------------------------------------------------------- */

static void enlist(sonde_prof__slot *slot, uint32_t tid)
{
    _Atomic uint32_t *first = &sonde_prof__slots.first[tid % SONDE_PROF__SLOT_LISTS];

    atomic_store_explicit(&slot->next, atomic_load_explicit(first, memory_order_relaxed),
                          memory_order_release);
    atomic_store_explicit(&slot->tid, tid, memory_order_relaxed);
    atomic_store_explicit(first, slot->number + 1,
                          memory_order_release); /* pairs with slot_find() */
}

static void delist(sonde_prof__slot *slot)
{
    uint32_t tid = atomic_load_explicit(&slot->tid, memory_order_relaxed);
    _Atomic uint32_t *link = &sonde_prof__slots.first[tid % SONDE_PROF__SLOT_LISTS];
    uint32_t n;

    while ((n = atomic_load_explicit(link, memory_order_relaxed)) != 0 && n != slot->number + 1)
        link = &sonde_prof__slot_at(n - 1)->next;
    if (n != 0)
        atomic_store_explicit(link, atomic_load_explicit(&slot->next, memory_order_relaxed),
                              memory_order_release);
    atomic_store_explicit(&slot->tid, 0, memory_order_relaxed);
}

/* -- slots ------------------------------------------------------------------------------------------ */

static uint32_t ring_bytes(uint32_t number)
{
    return number < 128 ? 64u * 1024 : number < 512 ? 16u * 1024 : 8u * 1024;
}

static sonde_prof__slot *make(uint32_t number)
{
    sonde_prof__slot *slot = sonde_prof__pages_map(sizeof(*slot));

    if (!slot)
        return NULL;
    slot->number = number;
    slot->frames = slot->room + SONDE_PROF__KERNEL_FRAMES_MAX;
    slot->event_fd = -1;
    atomic_store_explicit(&slot->event_known, -1, memory_order_relaxed);
    atomic_store_explicit(&slot->timer, -1, memory_order_relaxed);
    atomic_store_explicit(&sonde_prof__slots.at[number], slot, memory_order_relaxed);
    atomic_store_explicit(&sonde_prof__slots.count, number + 1, memory_order_release);
    return slot;
}

static sonde_prof__slot *take_free_locked(void)
{
    uint32_t count = sonde_prof__slots_count();
    sonde_prof__slot *slot;

    if (first_free == 0)
        return count < SONDE_PROF__SLOTS_MAX ? make(count) : NULL;
    slot = sonde_prof__slot_at(first_free - 1);
    first_free = atomic_load_explicit(&slot->next, memory_order_relaxed);
    return slot;
}

static void give_ring(sonde_prof__slot *slot)
{
    uint32_t bytes = ring_bytes(slot->number);

    if (slot->ring.data)
        return;
    slot->ring.data = sonde_prof__pages_map(bytes);
    if (slot->ring.data)
        slot->ring.size = bytes;
    else
        SONDE_PROF__COUNT(rings_failed);
}

/* Of so many threads one in which is sampled: each power of two halves what is left of the table. */
static uint32_t share_of(uint32_t threads)
{
    uint32_t k = 1;

    while (k < SHARE_MAX && threads >= SONDE_PROF__SLOTS_MAX - SONDE_PROF__SLOTS_MAX / (2 * k))
        k *= 2;
    return k;
}

/* Who is one in 2k is one in k, too. */
static bool is_chosen(uint32_t tid, uint32_t k)
{
    return (tid * UINT32_C(2654435769) >> 16 & (k - 1)) == 0;
}

/* NULL: full, counted. */
static sonde_prof__slot *take_locked(uint32_t tid, uint32_t share)
{
    sonde_prof__slot *slot = take_free_locked();

    if (!slot) {
        SONDE_PROF__COUNT(slots_full);
        return NULL;
    }
    used++;
    atomic_store_explicit(&slot->weight, (uint8_t)share, memory_order_relaxed);
    slot->generation++;
    slot->start_mono_ns = sonde_mono_ns();
    slot->stack = (sonde_prof__stack){ 0, 0, NULL };
    slot->name[0] = '\0';
    slot->foreign = NULL;
    slot->no_wall_signals = false;
    atomic_store_explicit(&slot->event_held, false, memory_order_relaxed);
    slot->seen = scan_number;
    sonde_prof__slot_forget_asked(slot);
    atomic_store_explicit(&slot->record, NULL, memory_order_relaxed);
    give_ring(slot);
    enlist(slot, tid);
    SONDE_PROF__COUNT(threads_seen);
    return slot;
}

/* Low numbers first: the list of free ones is kept in order at its head only, which is enough. */
static void release_locked(sonde_prof__slot *slot)
{
    sonde_prof__sampler_detach(slot);
    sonde_prof__waiter_forget(slot);
    delist(slot);
    used--;
    atomic_store_explicit(&slot->record, NULL, memory_order_relaxed);
    atomic_store_explicit(&slot->next, first_free, memory_order_release);
    first_free = slot->number + 1;
}

sonde_prof__slot *sonde_prof__slot_reserve(void)
{
    sonde_prof__slot *slot;

    sonde_prof__lock_take(&lock);
    slot = take_free_locked();
    if (slot) {
        used++;
        slot->is_reserved = true;
        give_ring(slot);
    }
    sonde_prof__lock_give(&lock);
    return slot;
}

/* -- what is known about a thread ------------------------------------------------------------------- */

static sonde_prof__stack stack_of_self(void)
{
    sonde_prof__stack stack = { 0, 0, NULL };
    pthread_attr_t attributes;
    size_t bytes;
    void *lo;

    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return stack;
    if (pthread_attr_getstack(&attributes, &lo, &bytes) == 0)
        stack =
            (sonde_prof__stack){ (uint64_t)(uintptr_t)lo, (uint64_t)(uintptr_t)lo + bytes, NULL };
    (void)pthread_attr_destroy(&attributes);
    return stack;
}

/* Where the kernel put the first stack pointer: all frames are below, and that page is there. */
static sonde_prof__stack stack_of_main(void)
{
    struct rlimit limit;
    uint64_t hi, bytes = MAIN_STACK_BYTES_MAX;

    if (!sonde_prof__proc_stat(28, &hi) || hi == 0)
        return (sonde_prof__stack){ 0, 0, NULL };
    hi = (hi + PAGE_BYTES) & ~(PAGE_BYTES - 1);
    if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < bytes)
        bytes = limit.rlim_cur;
    return (sonde_prof__stack){ hi - bytes, hi, NULL };
}

static bool is_ours(uint32_t tid)
{
    uint32_t i;

    for (i = 0; i < OURS_MAX; i++)
        if (atomic_load_explicit(&ours[i], memory_order_relaxed) == tid)
            return true;
    return false;
}

/* -- coming and going ------------------------------------------------------------------------------- */

static void on_thread_end(void *slot)
{
    (void)slot;
    sonde_prof__thread_end(0);
}

static void make_key(void)
{
    have_key = pthread_key_create(&end_key, on_thread_end) == 0;
}

/* A slot of this id that is there already was made by a scan a moment ago, or is what a thread left that ended without
 * a word. */
static sonde_prof__slot *begin_locked(uint32_t tid)
{
    sonde_prof__slot *slot = sonde_prof__slot_find(tid);
    uint32_t share;

    if (slot)
        release_locked(slot);
    share = share_of(used);
    slot = NULL;
    if (is_chosen(tid, share))
        slot = take_locked(tid, share);
    else
        SONDE_PROF__COUNT(crowd_passed);
    sonde_prof__self.passed = slot == NULL; /* and asks no more */
    return slot;
}

/* `stack` as far as it is known. */
static sonde_prof__slot *begin(sonde_prof__stack stack)
{
    /* before the lock: the loader has its own */
    void *_Atomic *foreign = sonde_prof__hooks_foreign();
    sonde_prof__slot *slot;

    sonde_prof__lock_take(&lock);
    slot = begin_locked(my_tid());
    if (slot) {
        slot->stack = stack;
        slot->foreign = foreign;
        (void)prctl(PR_GET_NAME, slot->name);
        sonde_prof__hooks_find_record(slot);
        sonde_prof__self.slot = slot;
        sonde_prof__sampler_attach(slot);
    }
    sonde_prof__lock_give(&lock);
    (void)pthread_once(&key_once, make_key);
    if (slot && have_key)
        (void)pthread_setspecific(end_key, slot);
    return slot;
}

static bool passes_by(void)
{
    return !sonde_prof__threads_started() || sonde_prof__self.gone || sonde_prof__self.depth > 0;
}

void sonde_prof__thread_begin(void)
{
    if (passes_by() || sonde_prof__self.slot)
        return;
    sonde_prof__self.depth++;
    sonde_prof__samplers_unblock();
    (void)begin(stack_of_self());
    sonde_prof__self.depth--;
}

sonde_prof__slot *sonde_prof__slot_mine(void)
{
    sonde_prof__slot *slot = sonde_prof__self.slot;

    if (slot || !sonde_prof__threads_started() || sonde_prof__self.gone)
        return slot;
    sonde_prof__self.depth++;
    sonde_prof__lock_take(&lock);
    slot = sonde_prof__slot_find(my_tid());
    sonde_prof__lock_give(&lock);
    if (slot)
        sonde_prof__self.slot = slot;
    else if (!sonde_prof__self.passed)
        slot = begin((sonde_prof__stack){ 0, 0, NULL });
    sonde_prof__self.depth--;
    return slot;
}

void sonde_prof__thread_end(uintptr_t entry)
{
    sonde_prof__slot *slot = sonde_prof__self.slot;

    sonde_prof__self.depth++; /* for ever: hooks pass through from here on */
    if (slot && sonde_prof__threads_started())
        sonde_prof__sample_end(slot, entry);
    if (slot) /* it may have got one since we looked */
        (void)prctl(PR_GET_NAME, slot->name);
    sonde_prof__self.gone = 1;
    sonde_prof__self.slot = NULL;
    if (!slot)
        return;
    sonde_prof__lock_take(&lock);
    if (atomic_load_explicit(&slot->tid, memory_order_relaxed) == my_tid())
        release_locked(slot);
    sonde_prof__lock_give(&lock);
}

sonde_status sonde_prof__thread_start(pthread_t *out_thread, const char *name, size_t stack_bytes,
                                      void *(*run)(void *))
{
    sonde_status status;

    sonde_prof__self.depth++; /* a thread of ours is not announced */
    sonde_prof__files_look();
    status = sonde_thread_start(out_thread, name, stack_bytes, run, NULL);
    sonde_prof__self.depth--;
    return status;
}

void sonde_prof__thread_is_ours(void)
{
    uint32_t i, none, tid = my_tid();
    sonde_prof__slot *slot;

    sonde_prof__files_own();
    sonde_prof__self.depth++;
    sonde_prof__self.gone = 1;
    sonde_prof__self.slot = NULL;
    sonde_prof__lock_take(&lock);
    for (i = 0, none = 0; i < OURS_MAX; i++, none = 0)
        if (atomic_compare_exchange_strong_explicit(&ours[i], &none, tid, memory_order_relaxed,
                                                    memory_order_relaxed))
            break;
    slot = sonde_prof__slot_find(tid);
    if (slot)
        release_locked(slot);
    sonde_prof__lock_give(&lock);
}

void sonde_prof__thread_is_ours_no_more(void)
{
    uint32_t i, tid = my_tid();

    for (i = 0; i < OURS_MAX; i++)
        if (atomic_load_explicit(&ours[i], memory_order_relaxed) == tid)
            atomic_store_explicit(&ours[i], 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&ended_ns, sonde_prof__thread_cpu_ns(), memory_order_relaxed);
}

uint64_t sonde_prof__threads_own_cpu_ns(void)
{
    uint64_t sum = atomic_load_explicit(&ended_ns, memory_order_relaxed), ns;
    uint32_t i, tid;

    for (i = 0; i < OURS_MAX; i++) {
        tid = atomic_load_explicit(&ours[i], memory_order_relaxed);
        ns = tid ? sonde_prof__cpu_ns_of(tid) : UINT64_MAX;
        sum += ns == UINT64_MAX ? 0 : ns;
    }
    return sum;
}

/* -- looking ---------------------------------------------------------------------------------------- */

static void look_locked(void *user, uint32_t tid)
{
    sonde_prof__slot *slot = sonde_prof__slot_find(tid);
    uint32_t share = *(const uint32_t *)user;

    if (slot && atomic_load_explicit(&slot->weight, memory_order_relaxed) > share)
        atomic_store_explicit(&slot->weight, (uint8_t)share, memory_order_relaxed);
    if (!slot && !is_ours(tid) && is_chosen(tid, share)) {
        slot = take_locked(tid, share);
        if (slot) {
            if (tid == (uint32_t)getpid())
                slot->stack = stack_of_main();
            sonde_prof__hooks_find_record(slot);
            sonde_prof__sampler_attach(slot);
        }
    }
    if (slot)
        slot->seen = scan_number;
}

static void release_those_not_seen_locked(void)
{
    uint32_t i;

    for (i = 0; i < sonde_prof__slots_count(); i++) {
        sonde_prof__slot *slot = sonde_prof__slot_at(i);

        if (atomic_load_explicit(&slot->tid, memory_order_relaxed) != 0 &&
            slot->seen != scan_number)
            release_locked(slot);
    }
}

/* A thread that begins while the list is read is marked as seen by taking its slot. */
void sonde_prof__threads_scan(void)
{
    uint32_t share = share_of(sonde_prof__proc_task_count());

    sonde_prof__self.depth++;
    sonde_prof__lock_take(&lock);
    scan_number++;
    if (sonde_prof__proc_tasks(look_locked, &share))
        release_those_not_seen_locked();
    sonde_prof__lock_give(&lock);
    sonde_prof__self.depth--;
}

void sonde_prof__threads_each(void (*each)(sonde_prof__slot *slot))
{
    uint32_t i;

    sonde_prof__lock_take(&lock);
    for (i = 0; i < sonde_prof__slots_count(); i++)
        if (atomic_load_explicit(&sonde_prof__slot_at(i)->tid, memory_order_relaxed) != 0)
            each(sonde_prof__slot_at(i));
    sonde_prof__lock_give(&lock);
}

bool sonde_prof__thread_if_still(sonde_prof__slot *slot, uint32_t generation,
                                 void (*then)(sonde_prof__slot *slot))
{
    bool is_still;

    sonde_prof__lock_take(&lock);
    is_still = slot->generation == generation &&
               atomic_load_explicit(&slot->tid, memory_order_relaxed) != 0;
    if (is_still)
        then(slot);
    sonde_prof__lock_give(&lock);
    return is_still;
}

void sonde_prof__threads_read_names(void)
{
    uint32_t i, tid;
    char name[32];

    for (i = 0; i < sonde_prof__slots_count(); i++) {
        sonde_prof__slot *slot = sonde_prof__slot_at(i);
        size_t len;

        tid = atomic_load_explicit(&slot->tid, memory_order_relaxed);
        if (tid == 0)
            continue;
        len = sonde_prof__proc_read_task(tid, "comm", name, sizeof(name));
        if (len > 1 && len <= sizeof(slot->name)) {
            name[len - 1] = '\0';
            memcpy(slot->name, name, len);
        }
    }
}

/* -- life ------------------------------------------------------------------------------------------- */

sonde_status sonde_prof__threads_start(void)
{
    (void)pthread_once(&key_once, make_key);
    atomic_store_explicit(&started, true, memory_order_relaxed);
    sonde_prof__threads_scan();
    return sonde_prof__slots_count() > 0 ? SONDE_OK : SONDE_ERR_NOMEM;
}

bool sonde_prof__threads_started(void)
{
    return atomic_load_explicit(&started, memory_order_relaxed);
}

void sonde_prof__threads_stop(void)
{
    atomic_store_explicit(&started, false, memory_order_relaxed);
}

void sonde_prof__threads_prefork(void)
{
    if (!sonde_prof__self.slot && !sonde_prof__self.gone) /* the child keeps it */
        sonde_prof__self.slot = sonde_prof__slot_find(my_tid());
    lock_is_ours = sonde_prof__lock_try(&lock, 10);
}

void sonde_prof__threads_postfork_parent(void)
{
    if (lock_is_ours)
        sonde_prof__lock_give(&lock);
    lock_is_ours = false;
}

static void empty(sonde_prof__ring *r)
{
    int kind;

    atomic_store_explicit(&r->tail, atomic_load_explicit(&r->head, memory_order_relaxed),
                          memory_order_relaxed);
    for (kind = 0; kind < SONDE_PROF__KINDS; kind++) {
        atomic_store_explicit(&r->lost[kind], 0, memory_order_relaxed);
        atomic_store_explicit(&r->lost_value[kind], 0, memory_order_relaxed);
    }
}

/* All lists anew, also when somebody was changing them: the surviving thread keeps its slot. */
void sonde_prof__threads_postfork_child(void)
{
    sonde_prof__slot *mine = sonde_prof__self.slot;
    uint32_t i;

    sonde_prof__lock_init(&lock);
    lock_is_ours = false;
    sonde_prof__waiters_postfork_child();
    for (i = 0; i < OURS_MAX; i++)
        atomic_store_explicit(&ours[i], 0, memory_order_relaxed);
    atomic_store_explicit(&ended_ns, 0, memory_order_relaxed);
    for (i = 0; i < SONDE_PROF__SLOT_LISTS; i++)
        atomic_store_explicit(&sonde_prof__slots.first[i], 0, memory_order_relaxed);
    first_free = 0;
    used = sonde_prof__slots_count();
    for (i = used; i > 0; i--) {
        sonde_prof__slot *slot = sonde_prof__slot_at(i - 1);

        atomic_store_explicit(&slot->timer, -1, memory_order_relaxed); /* not inherited */
        sonde_prof__event_forget(slot);
        atomic_store_explicit(&slot->busy, 0, memory_order_relaxed);
        atomic_store_explicit(&slot->tid, 0, memory_order_relaxed);
        slot->waiter = (sonde_prof__waiter){ 0, 0 };
        sonde_prof__slot_forget_asked(slot);
        empty(&slot->ring);
        if (slot == mine || slot->is_reserved)
            continue;
        used--;
        atomic_store_explicit(&slot->record, NULL, memory_order_relaxed);
        atomic_store_explicit(&slot->next, first_free, memory_order_relaxed);
        first_free = i;
    }
    sonde_prof__self.passed = 0;
    if (mine) {
        atomic_store_explicit(&mine->weight, 1, memory_order_relaxed); /* for itself */
        mine->generation++;
        enlist(mine, my_tid());
        sonde_prof__sampler_attach(mine);
    }
}
