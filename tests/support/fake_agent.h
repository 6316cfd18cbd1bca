/* support/fake_agent.h - an agent that does as it is told and keeps count of what it was sent.
 *
 *   fake_agent *agent = fake_agent_open(NULL);                 a TCP port of its own; or a socket path
 *   fake_agent_answer(agent, (fake_answer){ .status = 429 }, 2);  the next two requests
 *   ... fake_agent_url(agent) ...
 *   fake_agent_wait_spans(agent, 10, 5000);
 *   fake_agent_close(agent);
 *
 * Requests beyond the script are answered with 200 and "{}".  Bodies are decoded as v0.4, v0.5 or v1; what it counts is
 * what it decoded.  GET /info and POST /v0.6/stats are
 * answered apart from all that: 404 until fake_agent_info() says what, and 200.  So are requests to paths that
 * take no traces: kept, and answered as fake_agent_route() says, else with 200 and "{}".
 *
 * Threads   one of its own; the functions here: all.
 * Bounds    16 connections, bodies of 16 MiB, 64 scripted answers, 16 routes, the first 1024 requests to other
 *           paths. */
#ifndef SONDE_TESTS_SUPPORT_FAKE_AGENT_H
#define SONDE_TESTS_SUPPORT_FAKE_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef enum fake_manner {
    FAKE_ANSWER,  /* status and body */
    FAKE_HANG,    /* read the request, never answer */
    FAKE_CLOSE,   /* read the request, close */
    FAKE_GARBAGE, /* answer with what is not HTTP */
} fake_manner;

typedef struct fake_answer {
    fake_manner manner;
    int status;       /* 0: 200 */
    const char *body; /* NULL: "{}"; borrowed until it was sent */
} fake_answer;

typedef struct fake_counts {
    uint64_t requests;
    uint64_t chunks;
    uint64_t spans;
    uint64_t announced;    /* sum of X-Datadog-Trace-Count */
    uint64_t bad;          /* bodies that did not decode */
    uint64_t taken_chunks; /* of requests answered with 200 */
    uint64_t taken_spans;
    uint64_t infos;  /* GET /info, in no count above */
    uint64_t stats;  /* POST /v0.6/stats, in no count above; answered 200 */
    uint64_t others; /* to paths that take no traces, in no count above */
} fake_counts;

typedef struct fake_agent fake_agent;

fake_agent *fake_agent_open(const char *socket_path); /* NULL: TCP on loopback */
void fake_agent_close(fake_agent *a);
const char *fake_agent_url(const fake_agent *a);

void fake_agent_answer(fake_agent *a, fake_answer answer, int times);
/* What /info answers from now on; borrowed.  `state` is the Datadog-Agent-State of every answer, or NULL. */
void fake_agent_info(fake_agent *a, const char *json, const char *state);

/* What requests to `path`, which takes no traces, get from now on; borrowed. */
void fake_agent_route(fake_agent *a, const char *path, fake_answer answer);

/* The n-th request, from 0, whose path begins like that: its body, NUL behind it, to be freed with free(), as
 * its head (out_head may be NULL).  Waits for it; NULL after `timeout_ms`. */
char *fake_agent_other(fake_agent *a, const char *path, uint64_t n, unsigned timeout_ms,
                       char **out_head);
uint64_t fake_agent_others(fake_agent *a, const char *path); /* how many there were */

fake_counts fake_agent_counts(fake_agent *a);

/* True when at least `spans` were taken before `timeout_ms` were over. */
bool fake_agent_wait_spans(fake_agent *a, uint64_t spans, unsigned timeout_ms);
bool fake_agent_wait_requests(fake_agent *a, uint64_t requests, unsigned timeout_ms);
bool fake_agent_wait_infos(fake_agent *a, uint64_t infos, unsigned timeout_ms);

/* The body of the last statistics; to be freed with free(). */
uint8_t *fake_agent_last_stats(fake_agent *a, size_t *out_len);

/* The head of the last statistics; to be freed with free(). */
char *fake_agent_last_stats_head(fake_agent *a);

/* The head and the body of the last request; to be freed with free(). */
char *fake_agent_last_head(fake_agent *a);
uint8_t *fake_agent_last_body(fake_agent *a, size_t *out_len);

#endif /* SONDE_TESTS_SUPPORT_FAKE_AGENT_H */
