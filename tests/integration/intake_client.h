/* integration/intake_client.h - an intake on a folder of its own, and a client that talks to it.
 *
 * Every call fails the test when something goes wrong on the way; an HTTP status is returned. */
#ifndef SONDE_TESTS_INTEGRATION_INTAKE_CLIENT_H
#define SONDE_TESTS_INTEGRATION_INTAKE_CLIENT_H

#include "support/test.h"

#include "base/buf.h"
#include "base/str.h"
#include "dashboards/main/intake_main.h"
#include "net/http_plain.h"

typedef struct intake_world {
    char dir[64];
    intake_main *intake;
    sonde_http_plain *client;
    sonde_http_plain_answer answer; /* the last one; valid until the next request */
} intake_world;

int intake_world_open(void **state); /* set-up and tear-down of a test */
int intake_world_close(void **state);
void intake_world_start(intake_world *w); /* on the folder there is */
void intake_world_stop(intake_world *w);

sonde_http_plain *intake_connect(uint16_t port);
int intake_get(intake_world *w, const char *path);
int intake_post(intake_world *w, const char *path, const char *key, const char *encoding,
                sonde_str body); /* key, encoding: NULL for none */

void assert_answer_has(const intake_world *w, const char *part);
void assert_answer_has_not(const intake_world *w, const char *part);

/* The text that follows `"name":"` in the answer. */
sonde_str answer_text(const intake_world *w, const char *name);

typedef struct test_span {
    uint64_t trace, id, parent;
    const char *service, *resource;
    int64_t start_ns, duration_ns;
    int error;
    const char *tag_key, *tag_value; /* NULL: none */
} test_span;

/* An AgentPayload with one chunk of these spans, env "test", host "h1". */
void write_agent_payload(sonde_buf *out, const test_span *spans, size_t len);

#endif /* SONDE_TESTS_INTEGRATION_INTAKE_CLIENT_H */
