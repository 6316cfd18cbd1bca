/* events.c - the thread sonde-perf, which opens and closes the events of all others. */
#include "events.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#include "counts.h"
#include "cpu_timer.h"
#include "futex.h"
#include "proc.h"
#include "sampler.h"
#include "samplers.h"
#include "threads.h"

#define AT_ONCE_MAX 256u                             /* of a round; the next one is for more */
#define SETTLE_NS   (10 * (uint64_t)SONDE_NS_PER_MS) /* threads that end sooner never have one */
#define RETRY_NS    (10 * (uint64_t)SONDE_NS_PER_S)  /* when no more can be had */
#define ANSWER_NS   ((uint64_t)SONDE_NS_PER_S)
#define HOLD_NS     ((uint64_t)SONDE_NS_PER_S)
#define BUSY_TRIES  200u /* of a millisecond */
#define STACK_BYTES ((size_t)64 * 1024)
#define RING_PAGES  2u
#define FIRST_RT    32

#ifndef F_SETSIG
#    define F_SETSIG 10
#endif

typedef struct asked {
    sonde_prof__slot *slot;
    uint32_t generation;
    uint32_t tid;
} asked;

static struct {
    _Atomic uint32_t wanted;   /* a futex: 1 there is something to do */
    _Atomic uint32_t urgent;   /* a futex: 1 somebody waits for it */
    _Atomic uint32_t answered; /* a futex: 1 the kernel has said whether */
    _Atomic bool stopping;
    bool is_running;
    bool was_refused;
    int signo;
    pthread_t thread;
    uint64_t full_until_ns; /* the thread's, like what follows */
    asked open[AT_ONCE_MAX];
    uint32_t open_len;
    sonde_prof__slot *close[AT_ONCE_MAX];
    uint32_t close_len;
} events;

/* -- waiting ---------------------------------------------------------------------------------------- */

static void wait_while(_Atomic uint32_t *word, uint32_t value, uint64_t for_ns)
{
    if (atomic_load_explicit(word, memory_order_acquire) == value)
        sonde_prof__futex_wait(word, value, for_ns);
}

static void set_and_wake(_Atomic uint32_t *word, uint32_t value)
{
    if (atomic_exchange_explicit(word, value, memory_order_seq_cst) != value)
        sonde_prof__futex_wake(word, SONDE_PROF__FUTEX_ALL);
}

/* False: not within `for_ns`. */
static bool becomes(_Atomic uint32_t *word, uint32_t value, uint64_t for_ns)
{
    uint64_t end_ns = sonde_mono_ns() + for_ns, now_ns;

    while (atomic_load_explicit(word, memory_order_acquire) != value) {
        now_ns = sonde_mono_ns();
        if (now_ns >= end_ns)
            return false;
        wait_while(word, !value, end_ns - now_ns);
    }
    return true;
}

void sonde_prof__events_wake(void)
{
    if (sonde_prof__events_mode() != SONDE_PROF__PERF_NONE)
        set_and_wake(&events.wanted, 1);
}

/* -- one event -------------------------------------------------------------------------------------- */

static int open_event(uint32_t tid, uint64_t period_ns, bool kernel)
{
    struct perf_event_attr what;

    memset(&what, 0, sizeof(what));
    what.size = sizeof(what);
    what.type = PERF_TYPE_SOFTWARE;
    what.config = PERF_COUNT_SW_TASK_CLOCK;
    what.sample_period = period_ns;
    what.sample_type = kernel ? PERF_SAMPLE_CALLCHAIN : 0;
    what.sample_max_stack = kernel ? SONDE_PROF__KERNEL_FRAMES_MAX : 0;
    what.disabled = 1;
    what.exclude_hv = 1;
    what.exclude_kernel = !kernel;
    what.exclude_callchain_kernel = !kernel;
    what.exclude_callchain_user = 1;
    what.wakeup_events = 1;
    return (int)syscall(SYS_perf_event_open, &what, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static bool is_refusal(int error)
{
    return error == EACCES || error == EPERM;
}

/* The kernel's part only as long as it may be seen: a process can give up rights on its way. */
static int open_as_allowed(uint32_t tid, uint64_t period_ns)
{
    int fd = -1;

    if (sonde_prof__events_mode() != SONDE_PROF__PERF_USER)
        fd = open_event(tid, period_ns, true);
    if (fd >= 0 || (sonde_prof__events_mode() != SONDE_PROF__PERF_USER && !is_refusal(errno)))
        return fd;
    fd = open_event(tid, period_ns, false);
    if (fd >= 0)
        atomic_store_explicit(&sonde_prof__sampling_now.perf, SONDE_PROF__PERF_USER,
                              memory_order_relaxed);
    return fd;
}

static size_t ring_bytes(void)
{
    return RING_PAGES * (size_t)sysconf(_SC_PAGESIZE);
}

/* Without a ring there are samples all the same, without the kernel's frames. */
static void *map_ring(int fd)
{
    void *page = MAP_FAILED;

    if (sonde_prof__events_mode() == SONDE_PROF__PERF_KERNEL)
        page = mmap(NULL, ring_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return page == MAP_FAILED ? NULL : page;
}

static bool direct_signals(int fd, uint32_t tid)
{
    const struct f_owner_ex owner = { F_OWNER_TID, (pid_t)tid };

    return fcntl(fd, F_SETSIG, events.signo) == 0 && fcntl(fd, F_SETOWN_EX, &owner) == 0 &&
           fcntl(fd, F_SETFL, O_RDONLY | O_ASYNC) == 0;
}

static void unmap(void *page)
{
    if (page)
        (void)munmap(page, ring_bytes());
}

/* Under the registry's lock.  Who holds the slot for an exec has said so before it looks at event_on, and is seen here. */
static void begin(sonde_prof__slot *slot)
{
    uint64_t period =
        atomic_load_explicit(&sonde_prof__sampling_now.cpu_period_ns, memory_order_relaxed);

    atomic_store_explicit(&slot->event_on, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&slot->event_held, memory_order_seq_cst)) {
        set_and_wake(&slot->event_on, 0);
        return;
    }
    if (slot->counted_generation != slot->generation)
        sonde_prof__cpu_restart(slot, period);
    slot->event_generation = slot->generation;
    atomic_store_explicit(&slot->event_known, slot->event_fd, memory_order_relaxed);
    (void)ioctl(slot->event_fd, PERF_EVENT_IOC_ENABLE, 0);
    sonde_prof__timer_disarm(slot);
}

/* Nothing of it is left, whatever has become of the thread. */
static void close_event(sonde_prof__slot *slot)
{
    const struct timespec ms = { 0, SONDE_NS_PER_MS };
    void *page;
    uint32_t i;

    (void)ioctl(slot->event_fd, PERF_EVENT_IOC_DISABLE, 0);
    page = atomic_exchange_explicit(&slot->event_page, NULL, memory_order_seq_cst);
    for (i = 0;
         page && i < BUSY_TRIES && atomic_load_explicit(&slot->busy, memory_order_seq_cst) != 0;
         i++)
        (void)nanosleep(&ms, NULL);
    if (i < BUSY_TRIES) /* else it stays mapped: its handler may be in it */
        unmap(page);
    (void)close(slot->event_fd);
    slot->event_fd = -1;
    events.full_until_ns = 0;
    set_and_wake(&slot->event_on, 0);
}

/* Under the registry's lock. */
static void note_failure(sonde_prof__slot *slot)
{
    if (slot->event_generation == slot->generation)
        return;
    slot->event_generation = slot->generation;
    SONDE_PROF__COUNT(event_failures);
}

static bool open_for(const asked *a)
{
    uint64_t period =
        atomic_load_explicit(&sonde_prof__sampling_now.cpu_period_ns, memory_order_relaxed);
    int fd = open_as_allowed(a->tid, period);

    if (fd < 0)
        return errno == ESRCH; /* it has ended meanwhile */
    if (!direct_signals(fd, a->tid)) {
        (void)close(fd);
        return false;
    }
    a->slot->event_fd = fd;
    a->slot->event_period_ns = period;
    atomic_store_explicit(&a->slot->event_page, map_ring(fd), memory_order_seq_cst);
    if (!sonde_prof__thread_if_still(a->slot, a->generation, begin) ||
        atomic_load_explicit(&a->slot->event_on, memory_order_relaxed) == 0)
        close_event(a->slot);
    return true;
}

/* -- rounds ----------------------------------------------------------------------------------------- */

/* Under the registry's lock. */
static void look_at(sonde_prof__slot *slot)
{
    bool is_held = atomic_load_explicit(&slot->event_held, memory_order_seq_cst);
    bool is_its = slot->event_fd >= 0 && slot->event_generation == slot->generation;

    if (slot->event_fd >= 0 && (!is_its || is_held)) {
        if (events.close_len < AT_ONCE_MAX)
            events.close[events.close_len++] = slot;
    } else if (slot->event_fd < 0 && !is_held && events.open_len < AT_ONCE_MAX) {
        events.open[events.open_len++] =
            (asked){ slot, slot->generation,
                     atomic_load_explicit(&slot->tid, memory_order_relaxed) };
    }
}

/* Those of nobody; and the period, which the overhead decides. */
static void mind_open_ones(void)
{
    uint64_t period =
        atomic_load_explicit(&sonde_prof__sampling_now.cpu_period_ns, memory_order_relaxed);
    uint32_t i;

    for (i = 0; i < sonde_prof__slots_count(); i++) {
        sonde_prof__slot *slot = sonde_prof__slot_at(i);

        if (slot->event_fd < 0)
            continue;
        if (atomic_load_explicit(&slot->tid, memory_order_relaxed) == 0) {
            close_event(slot);
        } else if (slot->event_period_ns != period && period != 0) {
            (void)ioctl(slot->event_fd, PERF_EVENT_IOC_PERIOD, &period);
            slot->event_period_ns = period;
        }
    }
}

static void open_those_asked_for(void)
{
    uint64_t now_ns = sonde_mono_ns();
    bool is_full = now_ns < events.full_until_ns;
    uint32_t i;

    for (i = 0; i < events.open_len; i++) {
        const asked *a = &events.open[i];

        if (!is_full && open_for(a))
            continue;
        if (!is_full)
            events.full_until_ns = now_ns + RETRY_NS;
        is_full = true;
        (void)sonde_prof__thread_if_still(a->slot, a->generation, note_failure);
    }
}

/* True: there was more to do than fits one round. */
static bool make_round(void)
{
    uint32_t i;

    events.open_len = events.close_len = 0;
    sonde_prof__threads_each(look_at);
    for (i = 0; i < events.close_len; i++)
        close_event(events.close[i]);
    mind_open_ones();
    open_those_asked_for();
    return events.close_len == AT_ONCE_MAX ||
           (events.open_len == AT_ONCE_MAX && sonde_mono_ns() >= events.full_until_ns);
}

static bool is_stopping(void)
{
    return atomic_load_explicit(&events.stopping, memory_order_acquire);
}

static void rest(void)
{
    wait_while(&events.wanted, 0, RETRY_NS);
    wait_while(&events.urgent, 0, SETTLE_NS);
}

/* -- the thread ------------------------------------------------------------------------------------- */

/* What the kernel allows, tried on this thread. */
static void ask_kernel(void)
{
    char paranoid[16] = "";
    int fd = -1, error = 0;

    if (sonde_prof__self.own_files) {
        atomic_store_explicit(&sonde_prof__sampling_now.perf, SONDE_PROF__PERF_KERNEL,
                              memory_order_relaxed);
        fd = open_as_allowed(0, SONDE_NS_PER_S);
        error = errno;
    }
    if (fd >= 0) {
        (void)close(fd);
        return;
    }
    atomic_store_explicit(&sonde_prof__sampling_now.perf, SONDE_PROF__PERF_NONE,
                          memory_order_relaxed);
    if (sonde_prof__proc_read("/proc/sys/kernel/perf_event_paranoid", paranoid, sizeof(paranoid)) >
        0)
        paranoid[strcspn(paranoid, "\n")] = '\0';
    SONDE_LOG_ALWAYS(SONDE_LOG_ERROR,
                     "no perf events, CPU samples by timers: reason=\"%s\" errno=%d "
                     "perf_event_paranoid=%s",
                     sonde_prof__self.own_files ? "the kernel refuses them"
                                                : "no descriptor table of their own",
                     error, paranoid);
}

static void close_all(void)
{
    uint32_t i;

    for (i = 0; i < sonde_prof__slots_count(); i++)
        if (sonde_prof__slot_at(i)->event_fd >= 0)
            close_event(sonde_prof__slot_at(i));
}

static void *run(void *arg)
{
    (void)arg;
    sonde_prof__thread_is_ours();
    ask_kernel();
    set_and_wake(&events.answered, 1);
    while (sonde_prof__events_mode() != SONDE_PROF__PERF_NONE && !is_stopping()) {
        bool more;

        atomic_store_explicit(&events.wanted, 0, memory_order_seq_cst);
        atomic_store_explicit(&events.urgent, 0, memory_order_seq_cst);
        more = make_round();
        if (!more && !is_stopping())
            rest();
    }
    close_all();
    sonde_prof__thread_is_ours_no_more();
    return NULL;
}

/* -- life ------------------------------------------------------------------------------------------- */

static void end_thread(void)
{
    atomic_store_explicit(&events.stopping, true, memory_order_release);
    set_and_wake(&events.urgent, 1);
    set_and_wake(&events.wanted, 1);
    (void)pthread_join(events.thread, NULL);
    events.is_running = false;
}

/* A signal of the real-time range that cannot be queued becomes SIGIO, which ends the process. */
void sonde_prof__events_start(int signo)
{
    sonde_status status;

    if (events.is_running || events.was_refused)
        return;
    if (signo >= FIRST_RT) {
        events.was_refused = true;
        SONDE_LOG_ALWAYS(SONDE_LOG_ERROR,
                         "no perf events, CPU samples by timers: reason=\"not with "
                         "a real-time signal\"");
        return;
    }
    events.signo = signo;
    events.full_until_ns = 0;
    atomic_store_explicit(&events.stopping, false, memory_order_relaxed);
    atomic_store_explicit(&events.answered, 0, memory_order_relaxed);
    status = sonde_prof__thread_start(&events.thread, "sonde-perf", STACK_BYTES, run);
    events.is_running = status == SONDE_OK;
    if (events.is_running && becomes(&events.answered, 1, ANSWER_NS) &&
        sonde_prof__events_mode() == SONDE_PROF__PERF_NONE) {
        end_thread();
        events.was_refused = true;
    }
}

void sonde_prof__events_stop(void)
{
    if (events.is_running)
        end_thread();
    events.was_refused = false; /* the mode stays: the last window was its */
}

bool sonde_prof__event_hold(sonde_prof__slot *slot)
{
    atomic_store_explicit(&slot->event_held, true, memory_order_seq_cst);
    if (atomic_load_explicit(&slot->event_on, memory_order_seq_cst) == 0)
        return atomic_load_explicit(&slot->event_known, memory_order_relaxed) >= 0;
    set_and_wake(&events.urgent, 1);
    set_and_wake(&events.wanted, 1);
    if (!becomes(&slot->event_on, 0, HOLD_NS))
        SONDE_PROF__COUNT(event_stuck);
    return true;
}

void sonde_prof__event_release(sonde_prof__slot *slot)
{
    atomic_store_explicit(&slot->event_held, false, memory_order_seq_cst);
    sonde_prof__events_wake();
}

void sonde_prof__event_forget(sonde_prof__slot *slot)
{
    slot->event_fd = -1;
    atomic_store_explicit(&slot->event_on, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->event_held, false, memory_order_relaxed);
    atomic_store_explicit(&slot->event_known, -1, memory_order_relaxed);
    atomic_store_explicit(&slot->event_page, NULL, memory_order_relaxed); /* not inherited */
}

void sonde_prof__events_postfork_child(void)
{
    events.is_running = false;
    atomic_store_explicit(&sonde_prof__sampling_now.perf, SONDE_PROF__PERF_NONE,
                          memory_order_relaxed);
    atomic_store_explicit(&events.wanted, 0, memory_order_relaxed);
    atomic_store_explicit(&events.urgent, 0, memory_order_relaxed);
}
