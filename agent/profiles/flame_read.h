/* agent/profiles/flame_read.h - files of profiles, ours and others', read into a flame.
 *
 *   pprof       packed or not; one of its sample types
 *   collapsed   lines of "root;child;leaf VALUE"; values are counts of samples
 *
 * Threads   pure.
 * Failure   SONDE_ERR_SYNTAX, SONDE_ERR_EOF, SONDE_ERR_TOO_BIG: no such file, or damaged; SONDE_ERR_NOT_FOUND: no such
 *           type.  The flame may then have some of it.
 * Bounds    FLAME_READ_MAX_BYTES; collapsed: FLAME_READ_DEPTH_MAX frames of a stack, the outermost stay;
 *           pprof: codec/pprof_read.h, the innermost stay.
 */
#ifndef SONDE_AGENT_PROFILES_FLAME_READ_H
#define SONDE_AGENT_PROFILES_FLAME_READ_H

#include "base/str.h"
#include "sonde/status.h"

#include "flame.h"

#define FLAME_READ_MAX_BYTES (256u * 1024 * 1024) /* unpacked */
#define FLAME_READ_DEPTH_MAX 4096u

/* Whatever it is.  type: empty: CPU time if it is there, else the file's default, else the first; the flame's type
 * becomes what was taken. */
SONDE_MUST_USE sonde_status flame_read(flame *f, sonde_str file, sonde_str type, unsigned side);

SONDE_MUST_USE sonde_status flame_read_pprof(flame *f, sonde_str message, sonde_str type,
                                             unsigned side);

#endif /* SONDE_AGENT_PROFILES_FLAME_READ_H */
