/* transport.h - one request to the agent, and what its answer means.
 *
 * One connection for everything: traces, statistics, /info, and what beats ask (beats.h).
 *
 * Threads   one: the flusher.
 * Source    docs/spec/agent-http.md */
#ifndef SONDE_LIBTRACE_TRANSPORT_H
#define SONDE_LIBTRACE_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "config.h"
#include "net/http_plain.h"
#include "sonde/status.h"

typedef enum sonde__verdict {
    SONDE__DELIVERED,
    SONDE__UNREACHABLE, /* worth another try */
    SONDE__BUSY,        /* 408, 429, 5xx: the same */
    SONDE__NOT_SERVED,  /* 404: an agent without that path */
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

/* Posts statistics to /v0.6/stats; `obfuscated`: their resources need no more of that. */
sonde__verdict sonde__transport_send_stats(sonde__transport *t, sonde_str body, bool obfuscated,
                                           uint64_t deadline_mono_ns);

/* -- any request ---------------------------------------------------------------------------------- */

#define SONDE__REQUEST_HEADERS_MAX 12

typedef struct sonde__request {
    const char *method; /* NULL: POST */
    const char *path;
    const sonde_http_header *headers; /* besides Host, Content-Length and where the process runs
                                         (Datadog-Container-ID, -Entity-ID, -External-Env) */
    size_t headers_len;               /* at most SONDE__REQUEST_HEADERS_MAX */
    sonde_str body;
    uint64_t deadline_mono_ns; /* beats leave it 0: sonde__beat_request() sets it */
} sonde__request;

typedef struct sonde__answer {
    int http_status;
    sonde_str body; /* valid until the next request; at most 1 MiB */
} sonde__answer;

/* SONDE_OK when there was an answer, whatever its status; else as sonde_http_plain_send(), and `out` is
 * zero.  Logs at level debug only. */
SONDE_MUST_USE sonde_status sonde__transport_ask(sonde__transport *t, const sonde__request *r,
                                                 sonde__answer *out);

#endif /* SONDE_LIBTRACE_TRANSPORT_H */
