/* tracer.h - the process's tracer as its other files see it.
 *
 * The tracer lives in epochs: each sonde_start() and each fork begins one.  sonde__live is the present
 * epoch, or 0 while nothing is recorded (off, or switched off from afar); it is the one word every span start looks at. */
#ifndef SONDE_LIBTRACE_TRACER_H
#define SONDE_LIBTRACE_TRACER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"

extern _Atomic uint32_t sonde__live;
extern _Atomic(sonde__config *) sonde__config_now; /* read by sonde__settings() */

uint32_t sonde__first_epoch(void); /* of this process: lower ones were inherited by fork */

/* The configuration of the present life; stays valid for a life longer.  Not NULL once started. */
static inline const sonde__config *sonde__settings(void)
{
    /* pairs with the start */
    return atomic_load_explicit(&sonde__config_now, memory_order_acquire);
}

/* The same, or NULL before the first start, for any thread: no start, stop or fork until the release. */
const sonde__config *sonde__settings_hold(void);
void sonde__settings_release(void);

/* Remote configuration: records spans or not, as long as this life lasts.  Has no effect when the
 * configuration switched tracing off.  Any thread, without a lock. */
void sonde__tracing_switch(bool on);

bool sonde__is_started(void);

#define SONDE__UUID_ROOM 37
void sonde__make_uuid(char out[SONDE__UUID_ROOM]); /* version 4, in lower case */

const char *sonde__runtime_id(void);      /* 36 characters; renewed by fork */
const char *sonde__root_runtime_id(void); /* of the process the others were forked from */

/* unix = mono + this, as of the last sonde__clock_anchor(). */
int64_t sonde__mono_to_unix_ns(void);
void sonde__clock_anchor(void); /* measures it again: at the start, each round of the flusher */

#endif /* SONDE_LIBTRACE_TRACER_H */
