/* support/fake_intake.h - an intake that follows a script and remembers what it took.
 *
 * Traces are decoded with protobuf-c and statistics with msgpack-c, so it is an oracle for our own
 * encoders.  Answers are set by the test; only what was answered with 200 counts as taken.
 *
 * Threads   the server's thread records; read the results after fake_intake_close() or with the
 *           waiting functions.
 * Bounds    FAKE_SPANS_MAX spans and FAKE_GROUPS_MAX groups; more fail the test at the end (`overflow`).
 */
#ifndef SONDE_TESTS_SUPPORT_FAKE_INTAKE_H
#define SONDE_TESTS_SUPPORT_FAKE_INTAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_SPANS_MAX  20000
#define FAKE_GROUPS_MAX 4000
#define FAKE_TEXT_BYTES 64

typedef struct fake_span {
    char service[FAKE_TEXT_BYTES], name[FAKE_TEXT_BYTES], resource[FAKE_TEXT_BYTES],
        type[FAKE_TEXT_BYTES];
    char kind[FAKE_TEXT_BYTES], env[FAKE_TEXT_BYTES];
    uint64_t trace_id, span_id, parent_id;
    int64_t start, duration;
    int32_t error;
    uint32_t http_status;
    bool top_level;
    bool names_installation; /* _dd.install.id */
} fake_span;

typedef struct fake_group {
    char service[FAKE_TEXT_BYTES], name[FAKE_TEXT_BYTES], resource[FAKE_TEXT_BYTES],
        type[FAKE_TEXT_BYTES];
    char kind[FAKE_TEXT_BYTES], env[FAKE_TEXT_BYTES];
    uint64_t start, hits, errors, duration, top_level_hits;
    uint32_t http_status;
    int is_trace_root;
} fake_group;

typedef struct fake_intake {
    struct http_server *server;
    uint16_t port;
    char url[64];
    _Atomic unsigned status; /* of every answer; 200 at first */
    _Atomic unsigned requests, taken, refused, malformed, without_key;
    pthread_mutex_t mu;
    fake_span *spans; /* guarded by mu, as all below */
    size_t spans_len;
    fake_group *groups;
    size_t groups_len;
    bool overflow;
    char languages[128]; /* X-Datadog-Reported-Languages of the last trace request */
} fake_intake;

void fake_intake_open(fake_intake *f, uint16_t port); /* 0: any free one */
void fake_intake_close(fake_intake *f);               /* stops serving; what was taken stays */
void fake_intake_done(fake_intake *f);                /* frees it */

/* Waits up to 20 s until that many requests came, whatever their answer; false: they did not. */
bool fake_intake_wait_requests(fake_intake *f, unsigned n);

#endif /* SONDE_TESTS_SUPPORT_FAKE_INTAKE_H */
