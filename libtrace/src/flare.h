/* flare.h - the tracer flare: what support needs to see of this process, sent once when it is asked for.
 *
 * Remote configuration sets the log level and hands over tasks (remote.c); the rest is a beat of its own.
 *
 * Threads   the flusher's.
 * Bounds    SONDE__FLARE_TASKS_MAX tasks wait; the log copy of flare_log.h; SONDE__FLARE_MAX_BYTES a request;
 *           a log level holds for SONDE__FLARE_LEVEL_NS.
 * Source    docs/spec/tracer-flare.md */
#ifndef SONDE_LIBTRACE_FLARE_H
#define SONDE_LIBTRACE_FLARE_H

#include "beats.h"
#include "flare_task.h"

#define SONDE__FLARE_TASKS_MAX 4
#define SONDE__FLARE_MAX_BYTES (640u << 10)
#define SONDE__FLARE_LEVEL_NS  (20 * 60 * (uint64_t)SONDE_NS_PER_S)

extern const sonde__beat sonde__flare_beat;

/* The level that is set from afar, SONDE__REMOTE_LEVEL_NONE: none; begins and ends the copy of the log.
 * Returns what to put in force: none when the level has held for its time. */
int sonde__flare_level(int level, uint64_t now_mono_ns);

/* True once the level's time is over and it is still in force. */
bool sonde__flare_level_is_over(uint64_t now_mono_ns);

/* Sends a flare soon.  A task whose uuid was seen is not done again.  SONDE_ERR_FULL: too many wait. */
SONDE_MUST_USE sonde_status sonde__flare_ask(const sonde__flare_task *task);

#endif /* SONDE_LIBTRACE_FLARE_H */
