/* sonde/profiler.h - the life of the process's profiler.
 *
 *   sonde_prof_start(NULL);   reads DD_PROFILING_..., DD_SERVICE, DD_TRACE_AGENT_URL, ...
 *   ...
 *   sonde_prof_stop();        sends the last window, with a deadline
 *
 * Nobody need call it: a program started with LD_PRELOAD=libsonde-profiler.so is profiled as it is.  A program that is
 * linked against the library is profiled from sonde_prof_start() on, or from the start when DD_PROFILING_ENABLED says so.
 *
 * Threads   all.  start and stop may meet; they wait for each other.
 * Failure   profiling never fails the profiled program: a value that cannot be used costs one log line and is replaced
 *           by its default; what was lost is counted, see sonde_prof_read_counters().
 * Memory    everything, rings and unwind tables included, comes from mappings of our own below one ceiling
 *           (SONDE_PROFILING_MEMORY_LIMIT_MB, 48 MiB); none from the program's malloc().
 * Fork      the child is profiled on by itself.
 * Source    docs/guide/profiling.md, docs/PROFILER-CONFIGURATION.md
 */
#ifndef SONDE_PROFILER_H
#define SONDE_PROFILER_H

#include <stdint.h>

#include "sonde/export.h"
#include "sonde/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What sonde_prof_start() may be told by the program.  Zero-initialise: every field then means "from the environment,
 * else the default".  A field that is set wins over the environment.  int32_t fields: 1 on, -1 off. */
typedef struct sonde_prof_options {
    uint32_t struct_bytes; /* sizeof(sonde_prof_options); 0: all fields of this header */
    int32_t cpu;           /* default: DD_PROFILING_CPU_ENABLED, else on; and so on */
    int32_t wall;
    int32_t alloc;
    int32_t heap;
    int32_t lock;
    int32_t io;        /* off */
    int32_t exception; /* off */
    int32_t timeline;
    uint32_t cpu_frequency; /* samples a second of CPU time; 99 */
    const char *service;    /* DD_SERVICE, else the name of the executable */
    const char *env;
    const char *version;
    const char *tags;         /* "key:value,key:value" */
    const char *agent_url;    /* "http://host:port" or "unix:///path" */
    const char *output_pprof; /* a prefix: profiles are written to PREFIX.PID.SEQ too */
    uint64_t memory_bytes;    /* 48 MiB */
} sonde_prof_options;

/* Starts sampling and a thread of our own, once; again while it runs does nothing.
 *
 * options   may be NULL.
 * Returns   SONDE_OK; SONDE_ERR_STATE: it runs, or profiling is refused here (set-user-ID, a sanitizer, too little address
 *           space) or disabled by the environment; SONDE_ERR_NOMEM, SONDE_ERR_SYS.  The program may ignore it. */
SONDE_API sonde_status sonde_prof_start(const sonde_prof_options *options);

/* Ends sampling, sends what there is (within two seconds) and lets the thread go.  Does nothing when it does not run. */
SONDE_API void sonde_prof_stop(void);

/* Closes the window now and sends it.  SONDE_ERR_STATE: it does not run; SONDE_ERR_TIMEOUT: not before then;
 * SONDE_ERR_REFUSED: nobody took it, and it waits for the next try. */
SONDE_API sonde_status sonde_prof_flush(uint32_t timeout_ms);

/* 1 between start and stop, else 0. */
SONDE_API int32_t sonde_prof_is_running(void);

/* -- generated code --------------------------------------------------------------------------------------- */

/* Code the program has made, at [start, start + bytes), is called `name` in profiles; told again it has another name.  Frames
 * of it are followed by their frame pointers, unless sonde_prof_register_frames() says more.  At most 16 384 pieces at a time.
 *
 * Returns   SONDE_OK; SONDE_ERR_STATE: the profiler does not run; SONDE_ERR_INVALID, SONDE_ERR_FULL, SONDE_ERR_NOMEM. */
SONDE_API sonde_status sonde_prof_register_code(const void *start, uint64_t bytes,
                                                const char *name);
SONDE_API void sonde_prof_unregister_code(const void *start); /* before the memory is given back */

/* How to step over frames of such code: a section in the form of .eh_frame, of that many bytes; 0: up to the entry of no length
 * that ends it.  At any time, before sonde_prof_start() too.  Who calls __register_frame() for C++ exceptions need not: it is
 * seen.  The section may be anything: what is not understood is passed over.  At most 4 096 at a time, and the first MiB of each.
 *
 * Returns   SONDE_OK; SONDE_ERR_INVALID: NULL; SONDE_ERR_FULL. */
SONDE_API sonde_status sonde_prof_register_frames(const void *eh_frame, uint64_t bytes);
SONDE_API void
sonde_prof_unregister_frames(const void *eh_frame); /* before code or section are given back */

/* -- counters --------------------------------------------------------------------------------------------- */

/* What became of the samples.  Since the process began; a forked child begins at 0:
 *
 *   events_taken == events_sent + events_lost + events_waiting */
typedef struct sonde_prof_counters {
    uint32_t struct_bytes; /* set by the caller: sizeof(sonde_prof_counters) */
    uint32_t reserved;
    uint64_t events_taken;   /* sampling events of all kinds, those that found no room included */
    uint64_t events_sent;    /* in batches or profiles that were taken, or written to a file */
    uint64_t events_lost;    /* no room in a ring or a window; batches that could not be sent */
    uint64_t events_waiting; /* in rings, in the window, in batches not sent yet */
    uint64_t batches_sent;   /* or profiles */
    uint64_t batches_lost;
    uint64_t memory_bytes; /* mapped now */
    uint64_t threads;      /* under observation */
    uint64_t own_ns;       /* CPU time of our handlers and threads */
} sonde_prof_counters;

/* Fills what both sides know of the struct.  Cost: a few loads. */
SONDE_API void sonde_prof_read_counters(sonde_prof_counters *out);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_PROFILER_H */
