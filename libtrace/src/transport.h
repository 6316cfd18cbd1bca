/* transport.h - one request to the agent, and what its answer means.
 *
 * Threads   one: the flusher.
 * Source    docs/spec/agent-http.md */
#ifndef SONDE_LIBTRACE_TRANSPORT_H
#define SONDE_LIBTRACE_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "config.h"
#include "sonde/status.h"

typedef enum sonde__verdict {
    SONDE__DELIVERED,
    SONDE__UNREACHABLE, /* worth another try */
    SONDE__BUSY,        /* 408, 429, 5xx: the same */
    SONDE__REFUSED,     /* anything else: another try would end the same */
} sonde__verdict;

typedef struct sonde__transport sonde__transport;

SONDE_MUST_USE sonde_status sonde__transport_open(const sonde__config *config,
                                                  sonde__transport **out);
void sonde__transport_close(sonde__transport *t); /* NULL does nothing */

/* For a forked child whose parent was sending: what it inherited may be half-written and is not touched
 * again, neither closed nor freed, but stays in sight of leak checkers.  One for each generation at most. */
void sonde__transport_abandon(sonde__transport *t);

/* Asks for /info.  The HTTP status, 0 when there was no answer; the body is valid until the next request. */
int sonde__transport_get_info(sonde__transport *t, uint64_t deadline_mono_ns, sonde_str *out_body);

/* True once after an answer whose Datadog-Agent-State differs from the one before. */
bool sonde__transport_agent_changed(sonde__transport *t);

typedef struct sonde__trace_request {
    const char *path;
    sonde_str body;
    uint64_t chunks;
    bool counted;       /* their statistics are computed here */
    uint64_t p0_traces; /* left out since the agent was told */
    uint64_t p0_spans;
    uint64_t deadline_mono_ns;
} sonde__trace_request;

/* Posts traces; takes over the rates of the answer. */
sonde__verdict sonde__transport_send(sonde__transport *t, const sonde__trace_request *r);

/* Posts statistics to /v0.6/stats. */
sonde__verdict sonde__transport_send_stats(sonde__transport *t, sonde_str body,
                                           uint64_t deadline_mono_ns);

#endif /* SONDE_LIBTRACE_TRANSPORT_H */
