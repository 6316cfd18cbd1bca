/* crash_socket.c - HELLO, ACK, and the heartbeat. */
#include "crash_socket.h"

#include <errno.h>
#include <string.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/blackbox.h"
#include "base/hex.h"
#include "base/log.h"

#include "agent_info.h"
#include "be.h"
#include "blackbox.h"
#include "tracer.h"
#include "watch.h"

#define ASK_NS        (1 * (uint64_t)SONDE_NS_PER_S)
#define FIRST_LOOK_NS (1 * (uint64_t)SONDE_NS_PER_MS) /* for the answer; doubled for the next */
#define HEARTBEAT_NS  (1 * (uint64_t)SONDE_NS_PER_S)
#define OTHER_NAME    "crash.socket" /* beside the trace socket */

static struct {
    int fd; /* -1: AWAY */
    bool is_accepted;
    bool is_refused; /* for good */
    uint64_t asked_until_mono_ns;
    uint64_t look_ns;
} link_to = { .fd = -1 };

static bool wanted(const sonde__config *c)
{
    return c->blackbox && c->agent.scheme == SONDE_URL_UNIX && sonde__blackbox_fd() >= 0;
}

static void hang_up(void)
{
    sonde__watch_clear(SONDE__WATCH_BLACKBOX);
    if (link_to.fd >= 0)
        (void)close(link_to.fd);
    link_to.fd = -1;
    link_to.is_accepted = false;
}

/* -- connecting ----------------------------------------------------------------------------------- */

/* -1: nobody is there. */
static int connect_to(sonde_str path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd;

    if (path.len == 0 || path.len >= sizeof(to.sun_path))
        return -1;
    memcpy(to.sun_path, path.ptr, path.len);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* Where containers mount it: in the folder of our own trace socket. */
static int connect_beside(const char *trace_socket)
{
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    const char *slash = strrchr(trace_socket, '/');
    size_t folder = slash ? (size_t)(slash - trace_socket) + 1 : 0;

    if (folder + sizeof(OTHER_NAME) > sizeof(path))
        return -1;
    memcpy(path, trace_socket, folder);
    memcpy(path + folder, OTHER_NAME, sizeof(OTHER_NAME));
    return connect_to((sonde_str){ path, folder + sizeof(OTHER_NAME) - 1 });
}

static void put_runtime_id(uint8_t out[16])
{
    const char *id = sonde__runtime_id();
    uint64_t half[2] = { 0, 0 };
    char hex[32];
    size_t len = 0;

    for (; *id && len < sizeof(hex); id++)
        if (*id != '-')
            hex[len++] = *id;
    (void)sonde_hex_parse_u64((sonde_str){ hex, len / 2 }, 0, &half[0]);
    (void)sonde_hex_parse_u64((sonde_str){ hex + len / 2, len / 2 }, 0, &half[1]);
    sonde__put_be64(out, half[0]);
    sonde__put_be64(out + 8, half[1]);
}

static bool send_hello(int fd, int file)
{
    sonde_crash_hello hello = {
        .head = { SONDE_BLACKBOX_MAGIC, SONDE_BLACKBOX_VERSION, SONDE_CRASH_HELLO },
        .pid = (uint32_t)getpid(),
        .file_bytes = SONDE_BLACKBOX_BYTES,
    };
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { .bytes = { 0 } };
    struct iovec part = { &hello, sizeof(hello) };
    struct msghdr m = { .msg_iov = &part,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof(control.bytes) };

    put_runtime_id(hello.runtime_id);
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.head), &file, sizeof(file));
    return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)sizeof(hello);
}

static uint64_t ask(uint64_t now)
{
    const sonde__config *c = sonde__settings();
    sonde_str offered = sonde__agent()->crash_socket;

    if (offered.len == 0 || link_to.is_refused)
        return SONDE__NEVER;
    link_to.fd = connect_to(offered);
    if (link_to.fd < 0)
        link_to.fd = connect_beside(c->agent.path);
    if (link_to.fd < 0)
        return SONDE__NEVER;
    if (!send_hello(link_to.fd, sonde__blackbox_fd())) {
        hang_up();
        return SONDE__NEVER;
    }
    link_to.asked_until_mono_ns = sonde_deadline(now, ASK_NS);
    link_to.look_ns = FIRST_LOOK_NS;
    return sonde_deadline(now, link_to.look_ns);
}

/* -- the answer ----------------------------------------------------------------------------------- */

static void accept_answer(const sonde_crash_ack *ack, size_t len)
{
    bool ok = len == sizeof(*ack) && ack->head.magic == SONDE_BLACKBOX_MAGIC &&
              ack->head.version == SONDE_BLACKBOX_VERSION && ack->head.type == SONDE_CRASH_ACK;

    if (ok && ack->reason == SONDE_CRASH_ACCEPTED) {
        link_to.is_accepted = true;
        sonde__watch_set(SONDE__WATCH_BLACKBOX);
        SONDE_LOG(SONDE_LOG_DEBUG, "the agent has the black box");
        return;
    }
    hang_up();
    link_to.is_refused = !ok || ack->reason != SONDE_CRASH_TOO_MANY;
    SONDE_LOG(SONDE_LOG_INFO, "the agent does not take the black box: reason=%u",
              ok ? (unsigned)ack->reason : 0);
}

static uint64_t look_for_answer(uint64_t now)
{
    sonde_crash_ack ack;
    ssize_t len = recv(link_to.fd, &ack, sizeof(ack), MSG_DONTWAIT | MSG_TRUNC);

    if (len > 0) {
        accept_answer(&ack, (size_t)len);
        return link_to.is_accepted ? sonde_deadline(now, HEARTBEAT_NS) : SONDE__NEVER;
    }
    if (len == 0 || (errno != EAGAIN && errno != EINTR) || now >= link_to.asked_until_mono_ns) {
        hang_up();
        return SONDE__NEVER;
    }
    link_to.look_ns *= 2;
    now = sonde_deadline(now, link_to.look_ns);
    return now < link_to.asked_until_mono_ns ? now : link_to.asked_until_mono_ns;
}

/* -- connected ------------------------------------------------------------------------------------ */

static bool is_hung_up(void)
{
    struct pollfd p = { .fd = link_to.fd, .events = POLLIN };

    /* The agent has nothing to say: what can be read is its end. */
    return poll(&p, 1, 0) > 0;
}

static uint64_t beat_heart(uint64_t now)
{
    sonde_blackbox_header *h = sonde__blackbox_header();

    if (!h || is_hung_up()) {
        hang_up();
        return SONDE__NEVER;
    }
    atomic_store_explicit(&h->heartbeat_unix_ns, (uint64_t)sonde_unix_ns(), memory_order_relaxed);
    return sonde_deadline(now, HEARTBEAT_NS);
}

/* -- the beat ------------------------------------------------------------------------------------- */

static uint64_t work(uint64_t now)
{
    if (link_to.fd < 0)
        return ask(now);
    return link_to.is_accepted ? beat_heart(now) : look_for_answer(now);
}

static void forget(void)
{
    hang_up();
    link_to.is_refused = false;
}

const sonde__beat sonde__crash_socket_beat = { "crash_socket", wanted, work, NULL, forget, NULL };

void sonde__crash_socket_agent_seen(void)
{
    if (link_to.fd < 0 && !link_to.is_refused && sonde__agent()->crash_socket.len > 0)
        sonde__beat_hurry(&sonde__crash_socket_beat);
}
