/* agent/profiles/upload.h - an ended window as a request body: event.json and a compressed pprof.
 *
 * Threads   the encoder's.
 * Bounds    PPROF_WIRE_MAX_BYTES: beyond it detail is given up (times, deep stacks, small rows), in this order.
 * Source    docs/spec/profile-batch.md, "What goes to the intake"
 */
#ifndef SONDE_AGENT_PROFILES_UPLOAD_H
#define SONDE_AGENT_PROFILES_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/payload/sink.h"
#include "base/buf.h"
#include "sonde/status.h"

#include "windows.h"

#define UPLOAD_BOUNDARY_LEN 38 /* "sonde-" and 32 hex digits */

typedef struct upload_frame {
    const char *path;       /* static: of every upload */
    char content_type[128]; /* with the boundary; outlives all uploads */
    char boundary[UPLOAD_BOUNDARY_LEN + 1];
    sonde_str via, tags;       /* borrowed: headers the agent adds */
    const char *agent_version; /* static */
    bool inlines_in_one;
    size_t max_bytes; /* of a compressed pprof: PPROF_WIRE_MAX_BYTES, and for tests */
} upload_frame;

/* A boundary nobody can guess, so that no name in a profile can end a part. */
void upload_frame_init(upload_frame *f, const char *agent_version);

/* What a counter of the profiler is called; false: unknown. */
bool upload_stat_name(size_t id, size_t part, char out[64]);

typedef struct upload_facts {
    unsigned steps; /* of the ladder that were taken */
    size_t pprof_bytes;
    size_t wire_bytes;
} upload_facts;

/* Writes the request for `w`, whose profile was symbolized.  SONDE_ERR_TOO_BIG: after every step, too. */
SONDE_MUST_USE sonde_status upload_make(const upload_frame *f, window *w, sonde_str container_tags,
                                        upload *out, upload_facts *out_facts);

#endif /* SONDE_AGENT_PROFILES_UPLOAD_H */
