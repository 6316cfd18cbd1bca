/* agent/profiles/limits.h - the ceilings of the room. */
#ifndef SONDE_AGENT_PROFILES_LIMITS_H
#define SONDE_AGENT_PROFILES_LIMITS_H

/* ---- a batch (docs/spec/profile-batch.md) ---- */

#define SPB_BODY_MAX_BYTES (8u * 1024 * 1024) /* before and after decompression: 413 */
#define SPB_TEXT_MAX_BYTES 4096               /* of one string: the batch is refused */
#define SPB_TAGS_MAX       128                /* of HELLO; further ones are left out */
#define SPB_NSPIDS_MAX     8                  /* the same */

/* ---- dictionaries of one session: what would pass them is left out and counted ---- */

#define SESSION_STRINGS_MAX      262144u
#define SESSION_STRING_BYTES_MAX (16u * 1024 * 1024)
#define SESSION_MAPPINGS_MAX     65536u
#define SESSION_NODES_MAX        1048576u
#define SESSION_THREADS_MAX      65536u
#define SESSION_CONTEXTS_MAX     262144u
#define SESSION_CODE_MAX         65536u /* symbols of generated code */

/* All sessions; the one unused longest goes (its next batch is answered with 409). */
#define SESSIONS_MAX      4096u
#define SESSIONS_SHARE    4u                            /* of the agent's memory limit */
#define SESSION_SILENT_NS (UINT64_C(600) * 1000000000u) /* without a batch it is given up */

/* ---- one profile: what does not fit any more is counted ---- */

#define PROFILE_STRINGS_MAX    524288u
#define PROFILE_TEXT_MAX_BYTES (32u * 1024 * 1024)
#define PROFILE_MAPPINGS_MAX   65536u
#define PROFILE_NODES_MAX      1048576u
#define PROFILE_LOCATIONS_MAX  1048576u
#define PROFILE_LINES_MAX      2097152u
#define PROFILE_FUNCTIONS_MAX  524288u
#define PROFILE_THREADS_MAX    65536u
#define PROFILE_SAMPLES_MAX    262144u /* rows: of one stack and one set of labels, or of one event */
#define PROFILE_LIVE_MAX       262144u
#define PROFILE_TIMELINE_MAX                                                                       \
    60000u /* rows with a time of their own; further events are summed up */
#define PROFILE_ENDPOINTS_MAX    65536u
#define PROFILE_CUSTOM_MAX       5u    /* sample types of the program's own */
#define PROFILE_DEPTH_MAX        1024u /* frames of one stack that are written */
#define PROFILE_LABELS_MAX       12u   /* of one row */
#define PROFILE_INLINE_DEPTH_MAX 32u   /* functions at one address */

/* ---- windows ---- */

#define WINDOWS_MAX 4096u /* processes at once; the oldest is ended early */
#define WINDOWS_SHARE                                                                              \
    8u /* of the memory limit, all open profiles: the one that grew beyond ends early */
#define WAITING_SHARE       16u /* ended ones; then the oldest is dropped */
#define WINDOWS_WAITING_MAX 64u /* ended, not encoded yet; then the oldest is dropped */
#define WINDOW_EMPTY_NS     (UINT64_C(300) * 1000000000u) /* how often one without samples is sent */
#define WINDOW_DEAD_NS                                                                             \
    (UINT64_C(15) * 1000000000u) /* after the last batch of a process that is gone */
#define WINDOW_SILENT_NS                                                                           \
    (UINT64_C(150) * 1000000000u) /* the same when nobody knows whether it is */
#define WINDOW_ROW_BEFORE_NS                                                                       \
    (UINT64_C(60) * 1000000000u) /* a row may be this much older than its batch */
#define WINDOW_ROW_AFTER_NS (UINT64_C(1) * 1000000000u)

/* ---- what leaves ---- */

#define PPROF_MAX_BYTES (256u * 1024 * 1024) /* before compression */
#define PPROF_WIRE_MAX_BYTES                                                                       \
    (8u * 1024 * 1024) /* compressed; beyond it detail is given up, step by step */
#define PPROF_HARD_MAX_BYTES (16u * 1024 * 1024) /* after the last step: dropped */
#define PPROF_CUT_DEPTH      128u
#define PPROF_CUT_SHARE                                                                            \
    10000 /* the last step: rows below a 10000th of each column go into [other] */

#endif /* SONDE_AGENT_PROFILES_LIMITS_H */
