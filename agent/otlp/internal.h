/* internal.h - what the files of this room share. */
#ifndef SONDE_AGENT_OTLP_INTERNAL_H
#define SONDE_AGENT_OTLP_INTERNAL_H

#include <stdbool.h>

#include "codec/compress/compress.h"
#include "net/grpc/grpc_server.h"
#include "net/server/http_server.h"
#include "otlp.h"
#include "read.h"

/* Outlives the listeners while payloads keep bodies. */
struct otlp {
    agent_config *config;
    payload_sink sink;
    const origin *origin;
    size_t budget_bytes;
    double rate;
    _Atomic bool stopped;
    _Atomic size_t refs; /* one of the owner, one of each body kept */
    http_server *http;
    grpc_server *grpc;
    grpc_method method;
    uint16_t http_port, grpc_port;
    http_route route;
    otlp_counters counters;
};

/* One request, whatever it came in. */
typedef struct otlp_export {
    otlp_read read;
    sonde_encoding encoding;
    bool stats_computed;  /* the head says so */
    size_t max_bytes;     /* unpacked */
    http_body *from_http; /* its bytes, or NULL; emptied */
    uint8_t *data;        /* else: its bytes; taken over */
    size_t len;
} otlp_export;

typedef struct otlp_outcome {
    bool accepted;
    otlp_reason why;         /* when not */
    const char *message;     /* for the client; static */
    uint64_t rejected_spans; /* of an accepted one */
} otlp_outcome;

/* Unpacks, decodes, hands on and counts. */
void otlp_take(otlp *o, otlp_export *e, otlp_outcome *out);

/* A request that ended before its body was there. */
void otlp_count_lost(otlp *o, otlp_reason why);

/* The answer's message: empty, or the partial success. */
void otlp_put_response_pb(const otlp_outcome *outcome, sonde_buf *out);

void otlp_put(otlp *o); /* gives a reference back */

/* "localhost:4318", "[::1]:4318": a listening socket. */
sonde_status otlp_listen(sonde_str endpoint, int *out_fd, sonde_error *out_error);

/* http.c, grpc.c */
sonde_status otlp_serve_http(otlp *o, sonde_error *out_error);
sonde_status otlp_serve_grpc(otlp *o, sonde_error *out_error);

#endif /* SONDE_AGENT_OTLP_INTERNAL_H */
