/* spb.h - records of the batch format, version 1, appended to a buffer.
 *
 *   HELLO  STRINGS MAPPINGS UNMAPS NODES THREADS CONTEXTS ENDPOINTS CODE  SAMPLES... LIVE STATS  END
 *          └── dictionary: must arrive, or later batches cannot be read ┘ └── may be lost ───────┘
 *
 * Threads   none: pure but for dictionary marks, which the caller moves.
 * Failure   the buffer's sticky status.
 * Source    docs/spec/profile-batch.md */
#ifndef SONDE_PROFILER_SPB_H
#define SONDE_PROFILER_SPB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#include "dict.h"
#include "maps.h"
#include "window.h"

#define SONDE_PROF__SPB_VERSION   1u
#define SONDE_PROF__SPB_BODY_MAX  ((size_t)8 << 20)
#define SONDE_PROF__SPB_ROWS_MAX  16384u /* of one SAMPLES record, so that a batch can be split */
#define SONDE_PROF__SESSION_BYTES 16

enum sonde_prof__record {
    SONDE_PROF__HELLO = 0,
    SONDE_PROF__STRINGS = 1,
    SONDE_PROF__MAPPINGS = 2,
    SONDE_PROF__UNMAPS = 3,
    SONDE_PROF__NODES = 4,
    SONDE_PROF__SAMPLES = 5,
    SONDE_PROF__THREADS = 6,
    SONDE_PROF__CONTEXTS = 7,
    SONDE_PROF__ENDPOINTS = 8,
    SONDE_PROF__LIVE = 9,
    SONDE_PROF__STATS = 10,
    SONDE_PROF__END = 11,
    SONDE_PROF__CODE = 12,
};

/* Who speaks.  Keys 5 and above: left out when empty or 0, `ns_pids` of len 0, NULL lists. */
typedef struct sonde_prof__hello {
    uint8_t session[SONDE_PROF__SESSION_BYTES];
    uint64_t seq;
    uint64_t start_unix_ns;
    uint64_t end_unix_ns;
    uint64_t pid;
    const uint32_t *ns_pids;
    uint32_t ns_pids_len;
    sonde_str service, env, version, runtime_id;
    const sonde_str *tags; /* "key:value" */
    uint32_t tags_len;
    sonde_str profiler_version, arch, exe, hostname;
    const uint8_t *prev; /* NULL: this is no rollover */
    uint64_t interval[SONDE_PROF__KINDS];
    uint32_t flags; /* sonde_prof__hello_flags */
    uint64_t profile_seq;
    sonde_str libc, process_tags;
} sonde_prof__hello;

enum sonde_prof__hello_flags { SONDE_PROF__TIMELINE = 1, SONDE_PROF__KERNEL_FRAMES = 2 };

/* `all` false: keys 0 to 4 and `interval` where it is set. */
void sonde_prof__spb_hello(sonde_buf *b, const sonde_prof__hello *h, bool all);
void sonde_prof__spb_end(sonde_buf *b, uint64_t seq);

/* What is behind the dictionary's marks; nothing when there is nothing. */
void sonde_prof__spb_strings(sonde_buf *b, const sonde_prof__dict *d);
void sonde_prof__spb_nodes(sonde_buf *b, const sonde_prof__dict *d);

/* Those that changed.  `mono_to_unix` is added to monotonic times. */
void sonde_prof__spb_threads(sonde_buf *b, const sonde_prof__dict *d, int64_t mono_to_unix);

void sonde_prof__spb_contexts(sonde_buf *b, const sonde_prof__contexts *g);

/* `paths`: the string of each object's path. */
void sonde_prof__spb_mappings(sonde_buf *b, const sonde_prof__loaded *const *objects,
                              const uint32_t *paths, uint32_t len);

typedef struct sonde_prof__code_row {
    uint32_t map;
    uint32_t name; /* string */
    uint64_t vaddr;
    uint64_t bytes;
} sonde_prof__code_row;

void sonde_prof__spb_code(sonde_buf *b, const sonde_prof__code_row *rows, uint32_t len);

typedef struct sonde_prof__unmap {
    uint32_t map;
    uint64_t unix_ns;
} sonde_prof__unmap;

void sonde_prof__spb_unmaps(sonde_buf *b, const sonde_prof__unmap *u, uint32_t len);

typedef struct sonde_prof__endpoint {
    uint64_t local_root_id;
    uint32_t resource; /* strings */
    uint32_t type;
    uint32_t finished;
} sonde_prof__endpoint;

void sonde_prof__spb_endpoints(sonde_buf *b, const sonde_prof__endpoint *e, uint32_t len);

/* Of a batch, and what to add to monotonic times. */
typedef struct sonde_prof__span_of_time {
    uint64_t start_unix_ns;
    uint64_t end_unix_ns;
    int64_t mono_to_unix;
} sonde_prof__span_of_time;

/* Rows of one kind, at most SPB_ROWS_MAX from *cursor on (0 at first), as a record; false: there are no more.
 * Times outside of [start - 60 s, end + 1 s] are moved inside. */
bool sonde_prof__spb_samples(sonde_buf *b, const sonde_prof__window *w, uint32_t kind,
                             uint32_t *cursor, const sonde_prof__span_of_time *time);

/* A map from number to value, or to a map from kind to value. */
enum sonde_prof__stat {
    SONDE_PROF__STAT_SAMPLES = 1, /* by kind, as the next two */
    SONDE_PROF__STAT_LOST = 2,
    SONDE_PROF__STAT_LOST_VALUE = 3,
    SONDE_PROF__STAT_UNWIND = 4, /* by sonde_prof__end */
    SONDE_PROF__STAT_HANDLER_NS = 5,
    SONDE_PROF__STAT_HANDLER_MAX_NS = 6,
    SONDE_PROF__STAT_HOOK_NS = 7,
    SONDE_PROF__STAT_DRAIN_NS = 8,
    SONDE_PROF__STAT_ARENA_BYTES = 9,
    SONDE_PROF__STAT_LIVE_ENTRIES = 10,
    SONDE_PROF__STAT_LIVE_FULL = 11,
    SONDE_PROF__STAT_UNKNOWN_THREAD = 12,
    SONDE_PROF__STAT_FOREIGN_SIGNALS = 13,
    SONDE_PROF__STAT_TIMER_FAILURES = 14,
    SONDE_PROF__STAT_REFRESHES = 15,
    SONDE_PROF__STAT_TABLE_BYTES = 16,
    SONDE_PROF__STAT_CPU_PERIOD = 17,
    SONDE_PROF__STAT_WALL_INTERVAL = 18,
    SONDE_PROF__STAT_OVERHEAD_PPM = 19,
    SONDE_PROF__STAT_FP_GUESSED = 20,
    SONDE_PROF__STAT_WALL_DISCARDED = 21,
    SONDE_PROF__STAT_WALL_REUSED = 22,
    SONDE_PROF__STAT_HEAP_LATE_MS = 23,
    SONDE_PROF__STAT_CPU_ENGINE = 24, /* sonde_prof__perf */
    SONDE_PROF__STAT_EVENT_FAILURES = 25,
    SONDE_PROF__STATS_LEN
};

typedef struct sonde_prof__stats {
    uint64_t value[SONDE_PROF__STATS_LEN];
    uint64_t samples[SONDE_PROF__KINDS];
    uint64_t lost[SONDE_PROF__KINDS];
    uint64_t lost_value[SONDE_PROF__KINDS];
    uint64_t ends[SONDE_PROF__ENDS];
} sonde_prof__stats;

void sonde_prof__spb_stats(sonde_buf *b, const sonde_prof__stats *s);

/* LIVE: begun with the number of entries, then each. */
void sonde_prof__spb_live_begin(sonde_buf *b, uint64_t unix_ns, uint32_t len);
void sonde_prof__spb_live_entry(sonde_buf *b, uint32_t node, uint32_t thread, uint64_t objects,
                                uint64_t bytes, uint64_t oldest_age_s);

#endif /* SONDE_PROFILER_SPB_H */
