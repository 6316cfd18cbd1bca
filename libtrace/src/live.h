/* live.h - what remote configuration changes while the tracer runs, over the configuration.
 *
 * The configuration itself never changes.  Each value that may be set from afar has the form its readers
 * can afford: whether spans are recorded is sonde__live (tracer.h), sampling rules are a policy (policy.h),
 * log injection and the log level are atomics, header tags a text that is copied (header_tags.h); tags are
 * read by the flusher, which also replaces them.
 *
 * Threads   applying: the flusher's.  Reading: as said below.
 * Bounds    SONDE__LIVE_TEXTS_MAX_BYTES of texts; more is refused and nothing changes.
 * Source    docs/spec/remote-config.md */
#ifndef SONDE_LIBTRACE_LIVE_H
#define SONDE_LIBTRACE_LIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "apm_tracing.h"
#include "base/format.h"
#include "config.h"
#include "sonde/config.h"
#include "sonde/status.h"

#define SONDE__LIVE_TEXTS_MAX_BYTES (512u << 10)

/* A life of the tracer begins: nothing is set from afar. */
void sonde__live_open(const sonde__config *c);

/* From now on exactly this is set from afar.  SONDE_ERR_NOMEM, SONDE_ERR_SYNTAX (of the rules): nothing
 * changed. */
SONDE_MUST_USE sonde_status sonde__live_apply(const sonde__config *c,
                                              const sonde__remote_values *values);

/* Tells telemetry what changed since it was told; when nothing did, everything as it is.  The flusher's
 * thread. */
void sonde__live_tell(const sonde__config *c);

/* -- reading -------------------------------------------------------------------------------------- */

extern _Atomic bool sonde__live_logs_injection; /* any thread */

/* Grows when something was set or is no longer set.  Any thread. */
extern _Atomic uint32_t sonde__live_version;

/* The tags of every span; valid until sonde__live_version changes.  The flusher's thread only, or while it
 * does not run. */
const sonde__tag *sonde__live_tags(const sonde__config *c, uint32_t *out_len);

/* What is set from afar for the row called `name`; ptr NULL: nothing.  The flusher's thread; valid until
 * sonde__live_version changes, or in `room`. */
sonde_str sonde__live_text(const char *name, char room[SONDE_DOUBLE_MAX_LEN]);

/* What is set from afar for the row called `name`, as text, cut to the room.  False: nothing.  Any thread;
 * takes SONDE_RANK_LIVE. */
bool sonde__live_setting(const char *name, char to[SONDE_SETTING_ROOM], uint32_t *out_bytes);

void sonde__live_prefork(void);
void sonde__live_postfork_parent(void);
void sonde__live_postfork_child(void);

#endif /* SONDE_LIBTRACE_LIVE_H */
