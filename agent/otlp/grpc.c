/* grpc.c - OTLP over gRPC: TraceService/Export.
 *
 * The services of metrics and logs are unknown methods (UNIMPLEMENTED), as their paths are over HTTP. */
#include "internal.h"

#include "base/log.h"
#include "limits.h"
#include "net/socket.h"

#define EXPORT_PATH "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

static grpc_status status_of(const otlp_outcome *outcome)
{
    if (outcome->accepted)
        return GRPC_OK;
    switch (outcome->why) {
    case OTLP_TOO_BIG:
    case OTLP_DECODED_TOO_BIG:
        return GRPC_RESOURCE_EXHAUSTED;
    case OTLP_EOF:
    case OTLP_DECODE:
        return GRPC_INVALID_ARGUMENT;
    default:
        return GRPC_UNAVAILABLE;
    }
}

static void take_export(void *user, grpc_call *call, grpc_answer *answer)
{
    otlp_export e = {
        .read = otlp_read_pb,
        .encoding = call->is_gzip ? SONDE_ENCODING_GZIP : SONDE_ENCODING_IDENTITY,
        .stats_computed = call->header.len > 0,
        .max_bytes = OTLP_GRPC_MESSAGE_MAX_BYTES,
        .data = call->message,
        .len = call->len,
    };
    otlp_outcome outcome = { 0 };

    otlp_take(user, &e, &outcome);
    call->message = e.data; /* NULL: taken */
    answer->status = status_of(&outcome);
    answer->message = outcome.message;
    if (outcome.accepted)
        otlp_put_response_pb(&outcome, &answer->body);
}

static void lose_export(void *user, sonde_status why)
{
    switch (why) {
    case SONDE_ERR_TOO_BIG:
        otlp_count_lost(user, OTLP_TOO_BIG);
        break;
    case SONDE_ERR_FULL:
        otlp_count_lost(user, OTLP_REFUSED_BUDGET);
        break;
    case SONDE_ERR_TIMEOUT:
        otlp_count_lost(user, OTLP_TIMEOUT);
        break;
    case SONDE_ERR_EOF:
        otlp_count_lost(user, OTLP_EOF);
        break;
    case SONDE_ERR_INVALID:
        otlp_count_lost(user, OTLP_ENCODING);
        break;
    default:
        otlp_count_lost(user, OTLP_DECODE);
        break;
    }
}

/* A socket of whoever started us, when it is of use, else one of our own. */
static sonde_status listen_grpc(const agent_config *c, int *out_fd, bool *out_shared,
                                sonde_error *out_error)
{
    sonde_error error = { 0 };

    *out_fd = (int)c->otlp_grpc_fd;
    if (c->otlp_grpc_fd >= 0) {
        *out_shared = sonde_inherit_listener(*out_fd, false, &error) == SONDE_OK;
        if (*out_shared)
            return SONDE_OK;
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "not inherited: %s", error.message);
    }
    return otlp_listen(c->otlp_grpc_endpoint, out_fd, out_error);
}

sonde_status otlp_serve_grpc(otlp *o, sonde_error *out_error)
{
    const agent_config *c = o->config;
    grpc_server_options options = {
        .name = "agent-grpc",
        .methods = &o->method,
        .methods_len = c->otlp_traces ? 1 : 0,
        .header = "datadog-client-computed-stats",
        .max_connections = (unsigned)c->max_connections, /* exporters keep theirs open */
        .max_message_bytes = OTLP_GRPC_MESSAGE_MAX_BYTES,
        .budget_bytes = OTLP_GRPC_BUDGET_BYTES,
        .read_timeout_ns = c->receiver_timeout_ns,
    };
    int fd;
    sonde_status status = listen_grpc(c, &fd, &options.is_shared, out_error);

    if (status != SONDE_OK)
        return status;
    o->grpc_port = sonde_local_port(fd);
    o->method =
        (grpc_method){ .path = EXPORT_PATH, .handle = take_export, .lost = lose_export, .user = o };
    return grpc_server_open(&options, fd, &o->grpc, out_error);
}
