/* agent/otlp/limits.h - the ceilings of this room, each with its reason; those of spans are the payload's. */
#ifndef SONDE_AGENT_OTLP_LIMITS_H
#define SONDE_AGENT_OTLP_LIMITS_H

/* Resources with spans in one request.  Each becomes a payload with an arena block of its own, which is
 * hundreds of times the bytes of the smallest resource; more is hostile (decoded_too_big). */
#define OTLP_RESOURCES_MAX 2048u

/* Arena of a request's payloads for each byte of its body: a span of 60 bytes becomes a kilobyte, because
 * every span gets the resource's attributes as tags.  The share of the memory limit bounds it further. */
#define OTLP_ARENA_FACTOR 32u

/* Arrays and maps inside an attribute's value. */
#define OTLP_VALUE_DEPTH_MAX 16

/* One attribute value that is an array or a map, the list of events and the list of links, as JSON. */
#define OTLP_TEXT_MAX_BYTES (4u * 1024 * 1024)

/* Resource names, as Datadog cuts them. */
#define OTLP_RESOURCE_MAX_BYTES 5000u

/* A gRPC message, as sent and after unpacking: gRPC's own default, which clients' batches respect. */
#define OTLP_GRPC_MESSAGE_MAX_BYTES (4u * 1024 * 1024)
#define OTLP_GRPC_BUDGET_BYTES      (16u * 1024 * 1024) /* messages arriving, all connections */

/* What clients are told to wait after a refusal. */
#define OTLP_RETRY_AFTER_S "1"

#endif /* SONDE_AGENT_OTLP_LIMITS_H */
