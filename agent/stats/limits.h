/* agent/stats/limits.h - the ceilings of this room. */
#ifndef SONDE_AGENT_STATS_LIMITS_H
#define SONDE_AGENT_STATS_LIMITS_H

/* Groups of one bucket; further keys of a payload key share one group whose texts are "other"
 * (`spans_collapsed`), so that sums stay right. */
#define STATS_GROUPS_MAX 16384u

/* Memory of all open buckets: texts, groups and sketches.  The same policy when it is used up. */
#define STATS_MAX_BYTES (16u * 1024 * 1024)

/* Payload keys (env, host, version, container, ...) of one bucket; further ones share the first
 * (`spans_collapsed`).  Each may have one "other" group beyond STATS_GROUPS_MAX. */
#define STATS_PAYLOAD_KEYS_MAX 1024u

/* Room beyond STATS_MAX_BYTES in each bucket for its "other" groups. */
#define STATS_OTHER_BYTES (1024u * 1024)

/* Buckets open at once: the two or three of ordinary operation, and some for clocks that are ahead.
 * When they are used up a span is counted in the bucket of now (`spans_moved`). */
#define STATS_BUCKETS_MAX       16u
#define STATS_BUCKETS_AHEAD_MAX 10u

/* Tags by which client spans are grouped: the built-in list and what the user adds. */
#define STATS_PEER_TAGS_MAX 128u

/* Statistics of tracers: memory of all open two-second buckets, and how many there are: those of 20 s, and some
 * for a timer that is late (then the newest takes what would open another). */
#define STATS_CLIENT_MAX_BYTES   (8u * 1024 * 1024)
#define STATS_CLIENT_BUCKETS_MAX 16u

#endif /* SONDE_AGENT_STATS_LIMITS_H */
