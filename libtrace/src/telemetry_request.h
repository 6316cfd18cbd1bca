/* telemetry_request.h - events on their way: one request holds one, or several as a batch.
 *
 * Threads   one: the flusher, from its beat.
 * Bounds    SONDE__TELEMETRY_EVENTS_MAX events, SONDE__TELEMETRY_BODY_MAX bytes of their payloads; what is more
 *           fails and is counted (telemetry_failed).
 * Source    docs/spec/telemetry.md, "Request" */
#ifndef SONDE_LIBTRACE_TELEMETRY_REQUEST_H
#define SONDE_LIBTRACE_TELEMETRY_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/json_write.h"

#include "config.h"

#define SONDE__TELEMETRY_EVENTS_MAX 16
#define SONDE__TELEMETRY_BODY_MAX   (4u << 20)

typedef struct sonde__telemetry_event {
    const char *type; /* "app-started" */
    size_t from;      /* its payload, in `payloads` */
    size_t len;
} sonde__telemetry_event;

typedef struct sonde__telemetry_request {
    sonde_buf payloads; /* owned, as `body`; both give their memory back when it is sent */
    sonde_buf body;
    sonde__telemetry_event event[SONDE__TELEMETRY_EVENTS_MAX];
    unsigned events;
    sonde_json_writer json; /* of the event under construction */
    uint64_t seq;           /* of the last request that went out */
} sonde__telemetry_request;

/* A zeroed one is valid. */
void sonde__telemetry_request_done(sonde__telemetry_request *r);

/* Begins another event; the caller writes its payload, one JSON value, and ends it. */
sonde_json_writer *sonde__telemetry_begin(sonde__telemetry_request *r, const char *type);
void sonde__telemetry_end(sonde__telemetry_request *r);

/* Sends what was begun and ended, by sonde__beat_request(), and is empty again.  True when the agent took
 * it, or when there was nothing to send. */
bool sonde__telemetry_send(sonde__telemetry_request *r, const sonde__config *c);

#endif /* SONDE_LIBTRACE_TELEMETRY_REQUEST_H */
