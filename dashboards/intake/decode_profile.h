/* dashboards/intake/decode_profile.h - an upload of a profiler, decoded into a store_batch.
 *
 * event.json says whose and when; every attachment that is a pprof is checked and kept, others are counted
 * by reason.  An upload with a broken pprof and none that is whole is refused.
 *
 * Threads   none.
 * Memory    nothing of the body is referred to after the call.
 * Failure   SONDE_ERR_SYNTAX/EOF/INVALID: not well formed; SONDE_ERR_TOO_BIG: a ceiling; NOMEM.
 * Bounds    PROFILE_MESSAGE_MAX a message inflated; multipart.h; codec/pprof_read.h.
 * Source    docs/spec/intake.md, "Profiles"
 */
#ifndef SONDE_DASHBOARDS_INTAKE_DECODE_PROFILE_H
#define SONDE_DASHBOARDS_INTAKE_DECODE_PROFILE_H

#include "dashboards/store/store.h"

#define PROFILE_MESSAGE_MAX (64u * 1024 * 1024)

/* Why an attachment is not stored. */
/* clang-format off */
#define PROFILE_SKIP_MAP(X)                                                      \
    X(NOT_PPROF, "not_pprof")   /* metrics.json, main.jfr ... */                 \
    X(LZ4,       "lz4")         /* compressed in a way we do not read */         \
    X(MALFORMED, "malformed")   /* not decompressed, or not a pprof message */   \
    X(TOO_BIG,   "too_big")     /* inflated, or in rows */
/* clang-format on */

typedef enum profile_skip {
#define X(name, text) PROFILE_SKIP_##name,
    PROFILE_SKIP_MAP(X)
#undef X
        PROFILE_SKIPS
} profile_skip;

extern const char *const profile_skip_names[PROFILE_SKIPS];

typedef struct profile_counts {
    uint64_t attachments; /* = profiles + skipped */
    uint64_t profiles;    /* in the batch */
    uint64_t skipped[PROFILE_SKIPS];
} profile_counts;

SONDE_MUST_USE sonde_status profile_decode(sonde_str content_type, sonde_str body,
                                           store_batch *batch, profile_counts *out_counts);

#endif /* SONDE_DASHBOARDS_INTAKE_DECODE_PROFILE_H */
