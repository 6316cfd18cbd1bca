/* crash.c - the handler's installation, what it needs prepared, and what the program is told. */
#include "crash.h"

#include <pthread.h>
#include <string.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hex.h"
#include "codec/msgpack_write.h"

#include "arena.h"
#include "counts.h"
#include "crash_state.h"
#include "maps.h"
#include "receiver.h"
#include "slot.h"

#define SOCKET_NAME     "crash.socket" /* beside the trace socket */
#define PAGE_BYTES      ((size_t)4096)
#define STACK_AND_GUARD (SONDE_PROF__CRASH_STACK_BYTES + PAGE_BYTES)
#define REQUESTS        8u
#define VALUE_MAX       200u

static _Atomic bool is_on;
static _Atomic pid_t owner; /* a child of vfork() shares memory, not handlers */
static sonde_prof__crash_modules *lists[2];
static unsigned list_now;
static uint64_t refreshes_seen;

static pthread_key_t stack_key; /* its destructor frees the stack */
static bool have_key;
static _Atomic uint32_t stacks_len;

bool sonde_prof__crash_is_on(void)
{
    return atomic_load_explicit(&is_on, memory_order_acquire);
}

/* -- who the process is ----------------------------------------------------------------------------- */

static void put_text(sonde_buf *b, const char *key, sonde_str value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_str(b, (sonde_str){ value.ptr, sonde_utf8_cut(value, VALUE_MAX) });
}

static void put_process(sonde_buf *b, const sonde_prof__config *c, const char *runtime_id)
{
    sonde_mp_write_map(b, 8);
    sonde_mp_write_str(b, SONDE_STR("schema_version"));
    sonde_mp_write_u64(b, 2);
    put_text(b, "runtime_id", sonde_str_from(runtime_id));
    put_text(b, "tracer_version", SONDE_STR(SONDE_VERSION));
    put_text(b, "tracer_language", SONDE_STR("native"));
    put_text(b, "hostname", c->hostname);
    put_text(b, "service_name", c->service);
    put_text(b, "service_env", c->env);
    put_text(b, "service_version", c->version);
}

static void put_runtime_id(const char *id, uint8_t out[16])
{
    uint64_t half[2] = { 0, 0 };
    char hex[32];
    size_t len = 0;
    int i;

    for (; *id && len < sizeof(hex); id++)
        if (*id != '-')
            hex[len++] = *id;
    (void)sonde_hex_parse_u64((sonde_str){ hex, len / 2 }, 0, &half[0]);
    (void)sonde_hex_parse_u64((sonde_str){ hex + len / 2, len / 2 }, 0, &half[1]);
    for (i = 0; i < 16; i++)
        out[i] = (uint8_t)(half[i / 8] >> (56 - 8 * (i % 8)));
}

void sonde_prof__crash_describe(const sonde_prof__config *c, const char *runtime_id)
{
    sonde_prof__crash_state *s = &sonde_prof__crash_now;
    sonde_buf b;

    if (!c->crash)
        return;
    sonde_buf_init(&b, SONDE_CRASH_PROCESS_MAX);
    put_process(&b, c, runtime_id);
    if (b.status == SONDE_OK) {
        memcpy(s->process, b.data, b.len);
        s->process_bytes = (uint32_t)b.len;
    }
    sonde_buf_done(&b);
    put_runtime_id(runtime_id, s->runtime_id);
}

/* -- what is loaded --------------------------------------------------------------------------------- */

static bool put_module(sonde_prof__crash_modules *to, const sonde_prof__loaded *from)
{
    size_t path_len = from->path.len <= SONDE_CRASH_MODULE_PATH_MAX ? from->path.len : 0;
    size_t bytes = sonde_crash_module_bytes(path_len);
    sonde_crash_module m = {
        .start = from->start,
        .length = from->length,
        .file_offset = from->file_offset,
        .bias = from->bias,
        .device = from->device,
        .inode = from->inode,
        .mtime_s = from->mtime_s,
        .flags = from->flags,
        .path_len = (uint16_t)path_len,
        .build_id_len = from->build_id_len,
    };

    if (bytes > SONDE_PROF__CRASH_MODULES_BYTES - sizeof(*to) - to->bytes)
        return false;
    memcpy(m.build_id, from->build_id, sizeof(m.build_id));
    memset(to->list + to->bytes, 0, bytes);
    memcpy(to->list + to->bytes, &m, sizeof(m));
    memcpy(to->list + to->bytes + sizeof(m), from->path.ptr, path_len);
    to->bytes += (uint32_t)bytes;
    to->len++;
    return true;
}

/* Written aside: a handler that has the old list keeps it for the second that the next look is away. */
void sonde_prof__crash_look(void)
{
    uint64_t refreshes = sonde_prof__maps_counted().refreshes;
    sonde_prof__crash_modules *to = lists[!list_now];
    uint32_t id;

    if (!to || refreshes == refreshes_seen)
        return;
    refreshes_seen = refreshes;
    to->bytes = to->len = 0;
    for (id = SONDE_PROF__FIRST_MAP; id < SONDE_PROF__FIRST_MAP + sonde_prof__maps_len(); id++) {
        const sonde_prof__loaded *l = sonde_prof__maps_by_id(id);

        if (l->is_loaded && !put_module(to, l))
            break;
    }
    list_now = !list_now;
    /* pairs with put_modules() */
    atomic_store_explicit(&sonde_prof__crash_now.modules, to, memory_order_release);
}

/* -- alternate stacks ------------------------------------------------------------------------------- */

static void free_stack(void *area)
{
    const stack_t none = { .ss_flags = SS_DISABLE };
    stack_t current;

    if (sigaltstack(NULL, &current) == 0 && current.ss_sp == (char *)area + PAGE_BYTES)
        (void)sigaltstack(&none, NULL);
    sonde_prof__self.depth++; /* our own munmap() */
    (void)munmap(area, STACK_AND_GUARD);
    sonde_prof__self.depth--;
    atomic_fetch_sub_explicit(&stacks_len, 1, memory_order_relaxed);
}

static void *map_stack(void)
{
    void *area;

    if (atomic_fetch_add_explicit(&stacks_len, 1, memory_order_relaxed) <
        SONDE_PROF__CRASH_STACKS_MAX) {
        area = mmap(NULL, STACK_AND_GUARD, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (area != MAP_FAILED) {
            (void)mprotect(area, PAGE_BYTES, PROT_NONE);
            return area;
        }
    }
    atomic_fetch_sub_explicit(&stacks_len, 1, memory_order_relaxed);
    SONDE_PROF__COUNT(crash_no_stack);
    return NULL;
}

void sonde_prof__crash_thread_begin(void)
{
    stack_t ours = { .ss_size = SONDE_PROF__CRASH_STACK_BYTES }, current;
    void *area;

    if (!sonde_prof__crash_is_on() || !have_key || sigaltstack(NULL, &current) != 0 ||
        !(current.ss_flags & SS_DISABLE))
        return;
    sonde_prof__self.depth++; /* our own mmap() */
    area = map_stack();
    sonde_prof__self.depth--;
    if (!area)
        return;
    ours.ss_sp = (char *)area + PAGE_BYTES;
    if (pthread_setspecific(stack_key, area) != 0 || sigaltstack(&ours, NULL) != 0) {
        (void)pthread_setspecific(stack_key, NULL);
        free_stack(area);
    }
}

/* -- handlers --------------------------------------------------------------------------------------- */

/* Ours, as the program's would be called; where it has none, on the alternate stack. */
static int install(const sonde_prof__crash_signal *s, const struct sigaction *wanted)
{
    bool has_handler = (wanted->sa_flags & SA_SIGINFO) || wanted->sa_handler != SIG_DFL;
    struct sigaction ours = { .sa_sigaction = sonde_prof__on_crash,
                              .sa_flags = SA_SIGINFO | SA_ONSTACK };
    int result;

    (void)sigemptyset(&ours.sa_mask);
    if (has_handler) {
        ours.sa_mask = wanted->sa_mask;
        ours.sa_flags = SA_SIGINFO | (wanted->sa_flags & (SA_ONSTACK | SA_RESTART | SA_NODEFER));
    }
    sonde_prof__self.depth++; /* our own sigaction() then passes through */
    result = sigaction(s->signo, &ours, NULL);
    sonde_prof__self.depth--;
    return result;
}

static bool is_ignored(const struct sigaction *a)
{
    return !(a->sa_flags & SA_SIGINFO) && a->sa_handler == SIG_IGN;
}

static int ignore(int signo, const struct sigaction *wanted)
{
    int result;

    sonde_prof__self.depth++;
    result = sigaction(signo, wanted, NULL);
    sonde_prof__self.depth--;
    return result;
}

static void take_over(sonde_prof__crash_signal *s)
{
    sonde_prof__self.depth++;
    if (sigaction(s->signo, NULL, &s->before) == 0)
        s->is_ours = true;
    sonde_prof__self.depth--;
    if (s->is_ours && !is_ignored(&s->before) && install(s, &s->before) != 0)
        s->is_ours = false;
}

bool sonde_prof__crash_request(int signo, const struct sigaction *action, struct sigaction *out_old,
                               int *out_result)
{
    static struct sigaction requests[SONDE_PROF__CRASH_SIGNALS][REQUESTS];
    static _Atomic uint32_t requests_len[SONDE_PROF__CRASH_SIGNALS];
    sonde_prof__crash_signal *s = sonde_prof__crash_signal_of(signo);
    struct sigaction *mine;
    struct sigaction old;
    size_t i;

    if (!s || !sonde_prof__crash_is_on() || !s->is_ours || sonde_prof__self.depth > 0 ||
        atomic_load_explicit(&owner, memory_order_relaxed) != getpid())
        return false;
    old = *sonde_prof__crash_asked(s);
    *out_result = 0;
    if (action) {
        i = (size_t)(s - sonde_prof__crash_now.signal);
        mine = &requests[i][atomic_fetch_add_explicit(&requests_len[i], 1, memory_order_relaxed) %
                            REQUESTS];
        *mine = *action;
        /* pairs with crash_asked() */
        atomic_store_explicit(&s->asked, mine, memory_order_release);
        *out_result = is_ignored(mine) ? ignore(signo, mine) : install(s, mine);
    }
    if (out_old)
        *out_old = old;
    return true;
}

/* -- life ------------------------------------------------------------------------------------------- */

/* Without one, or where nobody listens, the receiver does it. */
static void find_socket(const sonde_prof__config *c)
{
    struct sockaddr_un *to = &sonde_prof__crash_now.to;
    const char *slash = strrchr(c->agent.path, '/');
    size_t folder = slash ? (size_t)(slash - c->agent.path) + 1 : 0;

    if (c->agent.scheme != SONDE_URL_UNIX || folder + sizeof(SOCKET_NAME) > sizeof(to->sun_path))
        return;
    to->sun_family = AF_UNIX;
    memcpy(to->sun_path, c->agent.path, folder);
    memcpy(to->sun_path + folder, SOCKET_NAME, sizeof(SOCKET_NAME));
}

static bool make_room(void)
{
    sonde_prof__crash_state *s = &sonde_prof__crash_now;

    lists[0] = sonde_prof__pages_map(SONDE_PROF__CRASH_MODULES_BYTES);
    lists[1] = sonde_prof__pages_map(SONDE_PROF__CRASH_MODULES_BYTES);
    s->packet = sonde_prof__pages_map(sizeof(*s->packet));
    if (lists[0] && lists[1] && s->packet)
        return true;
    sonde_prof__pages_unmap(lists[0], SONDE_PROF__CRASH_MODULES_BYTES);
    sonde_prof__pages_unmap(lists[1], SONDE_PROF__CRASH_MODULES_BYTES);
    sonde_prof__pages_unmap(s->packet, sizeof(*s->packet));
    lists[0] = lists[1] = NULL;
    return false;
}

sonde_status sonde_prof__crash_start(const sonde_prof__config *c)
{
    size_t i;

    if (sonde_prof__crash_is_on())
        return SONDE_OK;
    if (c->crash)
        find_socket(c);
    if (c->crash && (!make_room() || !sonde_prof__receiver_start(c)))
        return SONDE_ERR_NOMEM;
    have_key = pthread_key_create(&stack_key, free_stack) == 0;
    atomic_store_explicit(&owner, getpid(), memory_order_relaxed);
    sonde_prof__crash_look();
    for (i = 0; i < SONDE_PROF__CRASH_SIGNALS; i++)
        take_over(&sonde_prof__crash_now.signal[i]);
    atomic_store_explicit(&is_on, true, memory_order_release);
    sonde_prof__crash_thread_begin();
    return SONDE_OK;
}

void sonde_prof__crash_postfork_child(void)
{
    atomic_store_explicit(&owner, getpid(), memory_order_relaxed);
    atomic_store_explicit(&sonde_prof__crash_now.busy, 0, memory_order_relaxed);
}
