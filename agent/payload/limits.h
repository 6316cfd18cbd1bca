/* agent/payload/limits.h - the ceilings of what travels, each with its reason. */
#ifndef SONDE_AGENT_PAYLOAD_LIMITS_H
#define SONDE_AGENT_PAYLOAD_LIMITS_H

/* Decoded spans are larger than their bytes: one of ten tags is 800 bytes here and about 100 in a v1.0 or v0.5
 * payload, where a tag is two or three small numbers.  Beyond twice that the body is hostile and refused (reason
 * decoded_too_big). */
#define PAYLOAD_ARENA_FACTOR     16
#define PAYLOAD_ARENA_BASE_BYTES (256u * 1024)

/* Outer arrays of a trace payload, as Datadog's agent bounds them. */
#define PAYLOAD_ARRAY_MAX 500000u

/* Entries of one meta, metrics or meta_struct map, links, events or attributes of one span; more are
 * passed over and counted (tags_cut). */
#define SPAN_ENTRIES_MAX 4096u

/* One meta_struct value. */
#define SPAN_META_STRUCT_MAX_BYTES (10u * 1024 * 1024)

/* Tags of one chunk or payload. */
#define PAYLOAD_TAGS_MAX 256u

#endif /* SONDE_AGENT_PAYLOAD_LIMITS_H */
