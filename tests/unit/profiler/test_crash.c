/* Fatal signals: what the program is told of its own handlers, what is reported, and what happens then.  By SIGABRT: the
 * others are cmocka's while a test runs. */
#include "support/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "profiler/src/crash.h"
#include "profiler/src/crash_state.h"
#include "profiler/src/maps.h"
#include "profiler/src/slot.h"

static char folder[] = "/tmp/sonde-crash-XXXXXX";
static int listener;

/* The agent's end of crash.socket, and the handler in place. */
static int set_up(void **state)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    sonde_prof__config c = { .crash = true, .service = SONDE_STR("web") };
    const struct timeval patience = { 60, 0 };

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/crash.socket", folder);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (listener < 0 ||
        setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
        bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(listener, 8) != 0)
        return -1;
    c.agent.scheme = SONDE_URL_UNIX;
    (void)snprintf(c.agent.path, sizeof(c.agent.path), "%s/apm.socket", folder);
    if (sonde_prof__maps_refresh(1) != SONDE_OK)
        return -1;
    sonde_prof__crash_describe(&c, "00112233-4455-4677-8899-aabbccddeeff");
    return sonde_prof__crash_start(&c) == SONDE_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    char path[64];

    (void)state;
    (void)close(listener);
    (void)snprintf(path, sizeof(path), "%s/crash.socket", folder);
    (void)unlink(path);
    return rmdir(folder);
}

/* -- requests --------------------------------------------------------------------------------------- */

static void a_handler(int signo)
{
    (void)signo;
}

static bool ask(const struct sigaction *action, struct sigaction *old)
{
    int result = -1;
    bool ours = sonde_prof__crash_request(SIGABRT, action, old, &result);

    assert_int_equal(result, ours ? 0 : -1);
    return ours;
}

static struct sigaction now_in_force(void)
{
    struct sigaction now;

    assert_int_equal(sigaction(SIGABRT, NULL, &now), 0);
    return now;
}

static void the_program_is_told_what_it_asked_for(void **state)
{
    struct sigaction a = { .sa_handler = a_handler, .sa_flags = SA_RESTART }, old;
    const struct sigaction by_default = { .sa_handler = SIG_DFL };
    const struct sigaction ignored = { .sa_handler = SIG_IGN };

    (void)state;
    (void)sigaddset(&a.sa_mask, SIGUSR1);
    assert_true(ask(NULL, &old));
    assert_ptr_equal(old.sa_handler, SIG_DFL);
    assert_true(ask(&a, &old));
    assert_ptr_equal(old.sa_handler, SIG_DFL);
    assert_true(ask(NULL, &old));
    assert_ptr_equal(old.sa_handler, a_handler);
    assert_int_equal(old.sa_flags, SA_RESTART);
    assert_true(sigismember(&old.sa_mask, SIGUSR1));

    assert_true(ask(&ignored, &old));
    assert_ptr_equal(old.sa_handler, a_handler);
    assert_true(ask(&by_default, &old));
    assert_ptr_equal(old.sa_handler, SIG_IGN);
}

static void in_force_is_ours_as_the_programs_would_be(void **state)
{
    struct sigaction a = { .sa_handler = a_handler, .sa_flags = SA_NODEFER };
    const struct sigaction by_default = { .sa_handler = SIG_DFL };
    const struct sigaction ignored = { .sa_handler = SIG_IGN };
    struct sigaction now = now_in_force();

    (void)state;
    assert_ptr_equal(now.sa_sigaction, sonde_prof__on_crash);
    assert_true(now.sa_flags & SA_ONSTACK);
    (void)sigaddset(&a.sa_mask, SIGUSR2);
    assert_true(ask(&a, NULL));
    now = now_in_force();
    assert_ptr_equal(now.sa_sigaction, sonde_prof__on_crash);
    assert_false(now.sa_flags & SA_ONSTACK); /* it did not ask for it */
    assert_true(now.sa_flags & SA_NODEFER);
    assert_true(sigismember(&now.sa_mask, SIGUSR2));
    assert_true(ask(&ignored, NULL));
    assert_ptr_equal(now_in_force().sa_handler, SIG_IGN);
    assert_true(ask(&by_default, NULL));
    assert_ptr_equal(now_in_force().sa_sigaction, sonde_prof__on_crash);
}

static void other_signals_and_our_own_requests_pass(void **state)
{
    struct sigaction old;
    int result;

    (void)state;
    assert_false(sonde_prof__crash_request(SIGTERM, NULL, &old, &result));
    sonde_prof__self.depth++;
    assert_false(sonde_prof__crash_request(SIGABRT, NULL, &old, &result));
    sonde_prof__self.depth--;
}

/* A child of vfork() shares our memory: its handlers are not ours. */
static void another_process_asks_the_kernel(void **state)
{
    pid_t child = fork();
    int status, result;

    (void)state;
    if (child == 0)
        _exit(sonde_prof__crash_request(SIGABRT, NULL, NULL, &result) ? 1 : 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* -- reports ---------------------------------------------------------------------------------------- */

typedef struct got {
    sonde_crash_hello hello;
    sonde_prof__crash_packet packet;
    size_t len;
    int status; /* of the child */
} got;

/* A child that ends in `end`, as the agent sees it. */
static got *report_of(void (*end)(void))
{
    got *g = calloc(1, sizeof(*g));
    pid_t child = fork();
    int fd;

    assert_non_null(g);
    if (child == 0) {
        sonde_prof__crash_postfork_child();
        end();
        _exit(99);
    }
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(recv(fd, &g->hello, sizeof(g->hello), 0), sizeof(g->hello));
    g->len = (size_t)recv(fd, &g->packet, sizeof(g->packet), 0);
    (void)close(fd);
    assert_int_equal(waitpid(child, &g->status, 0), child);
    return g;
}

static void end_by_abort(void)
{
    (void)raise(SIGABRT);
}

static void exit_5(int signo)
{
    (void)signo;
    _exit(5);
}

static void end_by_own_handler(void)
{
    struct sigaction a = { .sa_handler = exit_5 };
    int result;

    (void)sonde_prof__crash_request(SIGABRT, &a, NULL, &result);
    (void)raise(SIGABRT);
}

static void a_report_has_all_its_parts(void **state)
{
    static const uint8_t id[16] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x46, 0x77,
                                    0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
    got *g = report_of(end_by_abort);
    const sonde_crash_report_head *h = &g->packet.head;

    (void)state;
    assert_true(WIFSIGNALED(g->status));
    assert_int_equal(WTERMSIG(g->status), SIGABRT);
    assert_int_equal(g->hello.head.type, SONDE_CRASH_HELLO);
    assert_int_equal(g->hello.file_bytes, 0);
    assert_memory_equal(g->hello.runtime_id, id, sizeof(id));
    assert_int_equal(g->packet.crash.head.type, SONDE_CRASH_CRASH);
    assert_int_equal(g->packet.crash.signo, SIGABRT);
    assert_int_equal(g->packet.crash.si_code, SI_TKILL);
    assert_int_equal(g->packet.crash.address, 0); /* there is none when it was sent */
    assert_int_equal(g->packet.crash.tid, h->tid);
    assert_int_equal(h->magic, SONDE_CRASH_REPORT_MAGIC);
    assert_int_equal(h->tid, h->pid);
    assert_true(h->regs_len > 0 && h->frames_len > 0 && h->modules_len > 0);
    assert_int_equal(g->len, offsetof(sonde_prof__crash_packet, rest) +
                                 (h->regs_len + h->frames_len) * sizeof(uint64_t) +
                                 h->modules_bytes + h->process_bytes);
    free(g);
}

static void the_programs_handler_comes_after_the_report(void **state)
{
    got *g = report_of(end_by_own_handler);

    (void)state;
    assert_int_equal(g->packet.crash.signo, SIGABRT);
    assert_true(WIFEXITED(g->status));
    assert_int_equal(WEXITSTATUS(g->status), 5);
    free(g);
}

/* -- the alternate stack ---------------------------------------------------------------------------- */

static void the_thread_that_starts_has_an_alternate_stack(void **state)
{
    stack_t s;

    (void)state;
    assert_int_equal(sigaltstack(NULL, &s), 0);
    assert_false(s.ss_flags & SS_DISABLE);
    /* ours, or one a sanitizer made before */
    assert_true(s.ss_size >= 64 * 1024 || s.ss_sp != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_program_is_told_what_it_asked_for),
        cmocka_unit_test(in_force_is_ours_as_the_programs_would_be),
        cmocka_unit_test(other_signals_and_our_own_requests_pass),
        cmocka_unit_test(another_process_asks_the_kernel),
        cmocka_unit_test(a_report_has_all_its_parts),
        cmocka_unit_test(the_programs_handler_comes_after_the_report),
        cmocka_unit_test(the_thread_that_starts_has_an_alternate_stack),
    };

    return cmocka_run_group_tests_name("crash", tests, set_up, tear_down);
}
