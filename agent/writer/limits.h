/* agent/writer/limits.h - the ceilings of this room. */
#ifndef SONDE_AGENT_WRITER_LIMITS_H
#define SONDE_AGENT_WRITER_LIMITS_H

/* One AgentPayload before compression: the intake takes about 3.2 MB. */
#define TRACE_PAYLOAD_MAX_BYTES 3200000u

/* Encoded chunks gathered before they are appended under the lock. */
#define TRACE_GROUP_MAX_BYTES (256u * 1024)

/* One encoded chunk; texts that a small body names again and again could make it any size.  Beyond it
 * the chunk is dropped (reason chunk_too_big). */
#define TRACE_CHUNK_MAX_BYTES (16u * 1024 * 1024)

/* Scratch memory kept between payloads. */
#define TRACE_SCRATCH_KEEP_BYTES (1024u * 1024)

/* Languages named in one request's header; further ones are left out. */
#define TRACE_LANGUAGES_MAX      16
#define TRACE_LANGUAGE_MAX_BYTES 15

/* Groups in one StatsPayload; more are split over several. */
#define STATS_PAYLOAD_GROUPS_MAX 4000u

/* One encoded StatsPayload: 4000 groups of 5 KB resources and two full sketches. */
#define STATS_PAYLOAD_MAX_BYTES (192u * 1024 * 1024)

/* A compressed body. */
#define UPLOAD_BODY_MAX_BYTES (64u * 1024 * 1024)

#endif /* SONDE_AGENT_WRITER_LIMITS_H */
