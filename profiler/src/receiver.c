/* receiver.c - what is made ready beforehand, and what the copy of a crashed process does.
 *
 * In the copy nothing may be called that takes a lock of libc's or asks the loader: malloc(), stdio, time zones, dlsym().  Ours
 * are made new (arena), numbers are written by snprintf(), files are read by pread(). */
#include "receiver.h"

#include <stdatomic.h>
#include <string.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/rng.h"
#include "crash/message.h"
#include "net/http_plain.h"
#include "net/socket.h"
#include "vocab/headers.h"

#include "arena.h"
#include "crash_state.h"
#include "slot.h"
#include "symbols.h"

#define PATH          "/telemetry/proxy/api/v2/apmtelemetry"
#define HEADERS_MAX   9
#define ANSWER_MAX    4096u
#define LOOK_UP_NS    (300 * (uint64_t)SONDE_NS_PER_S)
#define LOOK_AGAIN_NS (10 * (uint64_t)SONDE_NS_PER_S)

static struct {
    _Atomic uint64_t look_up_at_ns; /* UINT64_MAX: never */
    char container[SONDE_CONTAINER_ID_MAX];
    char entity[SONDE_CONTAINER_ID_MAX];
    char external_env[256];
    sonde_url addresses[2]; /* one is in use */
    unsigned address_now;
} r = { .look_up_at_ns = UINT64_MAX };

/* -- beforehand ------------------------------------------------------------------------------------- */

/* Hooks of ours stand before these: what is behind them is asked of the loader at the first call. */
static void find_functions(void)
{
    char byte;

    (void)!pread(-1, &byte, 1, 0);
    (void)!read(-1, &byte, 1);
    (void)!recv(-1, &byte, 1, MSG_DONTWAIT);
    (void)!send(-1, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)!connect(-1, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr));
}

static void know(const sonde_url *agent)
{
    sonde_url *to = &r.addresses[!r.address_now];

    *to = *agent;
    r.address_now = !r.address_now;
    /* pairs with receiver_run() */
    atomic_store_explicit(&sonde_prof__crash_now.agent, to, memory_order_release);
}

void sonde_prof__receiver_look(const sonde_prof__config *c, uint64_t now_mono_ns)
{
    sonde_url found;

    if (now_mono_ns < r.look_up_at_ns)
        return;
    r.look_up_at_ns = now_mono_ns + LOOK_AGAIN_NS;
    found = c->agent;
    if (sonde_resolve(&found) != SONDE_OK)
        return;
    r.look_up_at_ns = now_mono_ns + LOOK_UP_NS;
    know(&found);
}

/* -- names, in the copy ----------------------------------------------------------------------------- */

static void *open_module(void *user, pid_t pid, const sonde_crash_report_module *m)
{
    char path[SONDE_CRASH_MODULE_PATH_MAX + 1];
    sonde_prof__loaded object = {
        .flags = m->head.flags,
        .bias = m->head.bias,
        .length = m->head.length,
        .inode = m->head.inode,
        .path = { path, m->path.len },
    };
    sonde_prof__symbol_table *t;

    (void)user, (void)pid;
    memcpy(path, m->path.len ? m->path.ptr : "", m->path.len);
    path[m->path.len] = '\0';
    t = (sonde_prof__symbol_table *)sonde_malloc(sizeof(*t));
    if (t && sonde_prof__symbol_table_of(&object, SONDE_PROF__SYMBOLS_BYTES, t) != SONDE_OK) {
        sonde_free(t);
        t = NULL;
    }
    return t;
}

static size_t resolve(void *user, void *object, uint64_t address,
                      sonde_crash_line out[SONDE_CRASH_LINES_MAX])
{
    static char readable[SONDE_PROF__SYMBOL_MAX];
    sonde_str name = sonde_prof__symbol_at(object, address);

    (void)user;
    if (name.len == 0 || !sonde_utf8_valid(name))
        return 0;
    out[0] = (sonde_crash_line){ .name = { readable, sonde_prof__readable(name, readable) } };
    if (!sonde_str_eq(out[0].name, name))
        out[0].system_name = name;
    return 1;
}

static void close_module(void *user, void *object)
{
    (void)user;
    sonde_prof__symbol_table_done(object);
    sonde_free(object);
}

/* -- requests --------------------------------------------------------------------------------------- */

static void add(sonde_http_header *h, size_t *len, const char *name, sonde_str value)
{
    if (value.len > 0)
        h[(*len)++] = (sonde_http_header){ sonde_str_from(name), value };
}

static bool post(sonde_http_plain *http, const sonde_process_block *process, const sonde_buf *body,
                 uint64_t deadline_mono_ns)
{
    sonde_http_header h[HEADERS_MAX];
    sonde_http_plain_answer answer;
    sonde_http_plain_request request = {
        .method = "POST",
        .path = PATH,
        .headers = h,
        .body = sonde_buf_str(body),
        .deadline_mono_ns = deadline_mono_ns,
    };

    add(h, &request.headers_len, "User-Agent", SONDE_STR("Sonde/" SONDE_VERSION));
    add(h, &request.headers_len, "Content-Type", SONDE_STR("application/json"));
    add(h, &request.headers_len, "DD-Telemetry-API-Version", SONDE_STR("v2"));
    add(h, &request.headers_len, "DD-Telemetry-Request-Type", SONDE_STR("logs"));
    add(h, &request.headers_len, "DD-Client-Library-Language", process->language);
    add(h, &request.headers_len, "DD-Client-Library-Version", process->tracer_version);
    add(h, &request.headers_len, SONDE_HDR_CONTAINER_ID, sonde_str_from(r.container));
    add(h, &request.headers_len, SONDE_HDR_ENTITY_ID, sonde_str_from(r.entity));
    add(h, &request.headers_len, SONDE_HDR_EXTERNAL_ENV, sonde_str_from(r.external_env));
    return sonde_http_plain_send(http, &request, &answer) == SONDE_OK && answer.status / 100 == 2;
}

static bool send_both(sonde_crash_case *c, const sonde_url *agent, uint64_t deadline_mono_ns)
{
    const sonde_process_block *process = &c->r.process;
    sonde_http_plain *http = NULL;
    sonde_buf ping, full;
    bool ok;

    sonde_buf_init(&ping, SONDE_CRASH_MESSAGE_MAX_BYTES);
    sonde_buf_init(&full, SONDE_CRASH_MESSAGE_MAX_BYTES);
    ok = sonde_http_plain_open(agent, ANSWER_MAX, &http) == SONDE_OK &&
         sonde_crash_ping(c, process, &ping) && post(http, process, &ping, deadline_mono_ns);
    if (ok) {
        sonde_crash_case_open(c);
        ok = sonde_crash_message(c, process, NULL, &full) &&
             post(http, process, &full, deadline_mono_ns);
    }
    sonde_http_plain_close(http);
    sonde_buf_done(&ping);
    sonde_buf_done(&full);
    return ok;
}

/* -- the copy --------------------------------------------------------------------------------------- */

/* Nothing of the program is held on to, and no second core is written. */
static void let_go(void)
{
    sonde_prof__self.depth++; /* hooks pass through */
    (void)syscall(SYS_close_range, 0L, ~0UL, 0L);
    (void)prctl(PR_SET_NAME, "sonde-crash", 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    sonde_prof__arena_postfork_child();
    sonde_prof__arena_limit(sonde_prof__arena_bytes() + SONDE_PROF__RECEIVER_MEMORY_BYTES);
    sonde_rng_postfork_child();
}

static int receive(void *unused)
{
    const sonde_prof__crash_state *s = &sonde_prof__crash_now;
    const sonde_crash_symbols symbols = { NULL, open_module, resolve, close_module };
    uint64_t deadline = sonde_mono_ns() + SONDE_PROF__RECEIVER_SEND_NS;
    bool malformed, ok;
    sonde_crash_case *c;

    (void)unused;
    let_go();
    c = sonde_crash_case_new((const uint8_t *)s->packet, s->packet_bytes,
                             (pid_t)s->packet->head.pid, &symbols, &malformed);
    ok = c && send_both(c, atomic_load_explicit(&s->agent, memory_order_acquire), deadline);
    (void)syscall(SYS_exit_group, ok ? 0L : 1L);
    return 1;
}

bool sonde_prof__receiver_start(const sonde_prof__config *c)
{
    sonde_prof__crash_state *s = &sonde_prof__crash_now;
    void *stack = mmap(NULL, SONDE_PROF__RECEIVER_STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (stack == MAP_FAILED)
        return false;
    find_functions();
    sonde_container_read(r.container, r.entity);
    if (c->external_env.len > 0 && c->external_env.len < sizeof(r.external_env))
        memcpy(r.external_env, c->external_env.ptr, c->external_env.len);
    if (sonde_is_literal(&c->agent))
        know(&c->agent);
    else
        r.look_up_at_ns = 0;
    s->receiver_ns = SONDE_PROF__RECEIVER_NS;
    s->receiver_stack = (char *)stack + SONDE_PROF__RECEIVER_STACK_BYTES;
    s->receive = receive;
    return true;
}
