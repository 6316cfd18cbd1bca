/* kill -9 under load: whatever was acknowledged is there when the intake starts again. */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/wait.h>

#include "base/clock.h"
#include "intake_client.h"
#include "support/temp_dir.h"

#define SENDERS    16
#define KILL_AFTER 200 /* acknowledged payloads */
#define TRACES_MAX 100000

static uint16_t port;
static _Atomic uint64_t next_trace = 1;
static sem_t acknowledged;
static _Atomic bool acked[TRACES_MAX];

static void run_intake(const char *dir, int port_fd)
{
    intake_main_options options = { .host = "127.0.0.1", .data_dir = dir };
    intake_main *m;
    uint16_t p;

    if (intake_main_open(&options, &m, NULL) != SONDE_OK)
        _exit(1);
    p = intake_main_port(m);
    if (write(port_fd, &p, sizeof(p)) != sizeof(p))
        _exit(1);
    for (;;)
        pause(); /* until the kill */
}

/* Sends traces until the intake is gone; asserts nothing, as it is not the test's thread. */
static void *send_traces(void *arg)
{
    sonde_http_plain *client = (sonde_http_plain *)arg;
    const sonde_http_header key = { SONDE_STR("DD-Api-Key"), SONDE_STR("k") };
    sonde_buf body;

    sonde_buf_init(&body, 65536);
    for (;;) {
        uint64_t trace = atomic_fetch_add(&next_trace, 1);
        const test_span span = { .trace = trace,
                                 .id = trace,
                                 .service = "web",
                                 .resource = "GET /",
                                 .start_ns = sonde_unix_ns(),
                                 .duration_ns = 1000 };
        sonde_http_plain_request request = { .method = "POST",
                                             .path = "/api/v0.2/traces",
                                             .headers = &key,
                                             .headers_len = 1,
                                             .deadline_mono_ns = sonde_deadline(
                                                 sonde_mono_ns(), 10ull * SONDE_NS_PER_S) };
        sonde_http_plain_answer answer;

        sonde_buf_reset(&body);
        write_agent_payload(&body, &span, 1);
        request.body = sonde_buf_str(&body);
        if (trace >= TRACES_MAX || sonde_http_plain_send(client, &request, &answer) != SONDE_OK ||
            answer.status != 200)
            break;
        acked[trace] = true;
        sem_post(&acknowledged);
    }
    sonde_buf_done(&body);
    return NULL;
}

static void test_nothing_acknowledged_is_lost_to_kill_9(void **state)
{
    intake_world w = { .intake = NULL };
    sonde_http_plain *clients[SENDERS];
    pthread_t threads[SENDERS];
    int port_pipe[2], i;
    unsigned missing = 0, found = 0;
    pid_t pid;

    (void)state;
    temp_dir_make(w.dir, sizeof(w.dir));
    assert_int_equal(sem_init(&acknowledged, 0, 0), 0);
    assert_int_equal(pipe(port_pipe), 0);
    pid = fork();
    if (pid == 0)
        run_intake(w.dir, port_pipe[1]);
    assert_int_equal(read(port_pipe[0], &port, sizeof(port)), sizeof(port));
    for (i = 0; i < SENDERS; i++) {
        clients[i] = intake_connect(port);
        pthread_create(&threads[i], NULL, send_traces, clients[i]);
    }
    for (i = 0; i < KILL_AFTER; i++)
        while (sem_wait(&acknowledged) != 0) /* interrupted */
            ;
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    for (i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
        sonde_http_plain_close(clients[i]);
    }

    intake_world_start(&w);
    for (i = 1; i < TRACES_MAX; i++) {
        char path[64];

        if (!acked[i])
            continue;
        snprintf(path, sizeof(path), "/api/sonde/v1/traces/%d", i);
        if (intake_get(&w, path) == 200)
            found++;
        else
            missing++;
    }
    intake_world_stop(&w);
    temp_dir_remove(w.dir);
    if (missing || found < KILL_AFTER)
        fail_msg("%u found, %u missing", found, missing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_acknowledged_is_lost_to_kill_9),
    };

    return cmocka_run_group_tests_name("intake killed", tests, NULL, NULL);
}
