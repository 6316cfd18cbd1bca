/* agent/receiver/waiting.h - payloads that found the queue full wait for room, without holding a thread.
 *
 * They wait in the order they came, each until its deadline; who comes while others wait goes behind them.
 * The client is answered when it is known what became of its payload.
 *
 * Threads   "agent-recv-wait" offers them again; waiting_enter() on the server's.
 * Bounds    max_bytes of payloads (a larger one waits when it is alone), beyond: not taken. */
#ifndef SONDE_AGENT_RECEIVER_WAITING_H
#define SONDE_AGENT_RECEIVER_WAITING_H

#include "agent/receiver/decode.h"
#include "base/error.h"
#include "net/server/http_server.h"

#define WAITING_PAUSE_NS UINT64_C(1000000) /* between two offers of the first one */

typedef struct bound_endpoint bound_endpoint;
typedef struct waiting_room waiting_room;

/* A decoded payload and who waits for the answer. */
typedef struct arrival {
    bound_endpoint *endpoint;
    http_request *request;
    payload *p;   /* owned until it was handed on */
    payload said; /* a copy made before that, for the counters */
    uint64_t began_mono_ns;
    decode_tally tally;
} arrival;

typedef struct waiting_options {
    /* Hands it on; SONDE_ERR_FULL: not yet. */
    sonde_status (*offer)(const arrival *a);
    /* Answers; SONDE_ERR_FULL: it waited in vain. */
    void (*settle)(arrival *a, sonde_status status);
    size_t max_bytes;
} waiting_options;

SONDE_MUST_USE sonde_status waiting_open(const waiting_options *options,
                                         waiting_room **out_waiting);

/* Every one that waits is offered once more and settled.  NULL is fine. */
void waiting_close(waiting_room *w);

bool waiting_has_line(const waiting_room *w); /* NULL: none */

/* Copies the arrival; false: there is no room, it is still the caller's. */
bool waiting_enter(waiting_room *w, const arrival *a, uint64_t deadline_mono_ns);

size_t waiting_count(const waiting_room *w); /* NULL: 0 */

#endif /* SONDE_AGENT_RECEIVER_WAITING_H */
