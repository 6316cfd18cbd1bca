/* config.h - what the profiler was told: options over environment over file over defaults.
 *
 * A configuration is made once and then only read.  A value that cannot be used is reported in one log line; the next
 * source, in the end the default, is used instead.
 *
 *   config_rows.c   what there is        config.c   one row from its sources, and what follows from several
 *
 * Threads   none: made by one thread.
 * Source    docs/PROFILER-CONFIGURATION.md */
#ifndef SONDE_PROFILER_CONFIG_H
#define SONDE_PROFILER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "net/url.h"

#include "sonde/profiler.h"

/* What a value is, and the type of its field. */
typedef enum sonde_prof__type {
    SONDE_PROF__TYPE_BOOL,     /* bool */
    SONDE_PROF__TYPE_INT,      /* uint32_t */
    SONDE_PROF__TYPE_NUMBER,   /* double */
    SONDE_PROF__TYPE_TEXT,     /* sonde_str */
    SONDE_PROF__TYPE_CHOICE,   /* uint32_t: the place in `choices` */
    SONDE_PROF__TYPE_DURATION, /* uint64_t ns; a bare number counts `unit_ns` */
    SONDE_PROF__TYPE_BYTES,    /* uint64_t; a bare number counts `unit_ns` bytes when that is set */
    SONDE_PROF__TYPE_LEVEL,    /* sonde_log_level */
    SONDE_PROF__TYPES
} sonde_prof__type;

#define SONDE_PROF__NAMES_MAX          3
#define SONDE_PROF__ROWS_OF_CONFIG_MAX 80

typedef struct sonde_prof__setting_row {
    const char *names[SONDE_PROF__NAMES_MAX]; /* the first that is set counts */
    sonde_prof__type type;
    bool second; /* another way to say the field of a row above, which goes first; no default */
    bool clamp;  /* out of range: the nearest bound instead of the default */
    bool secret; /* never printed */
    const char *fallback; /* the default, as text; "" is none */
    const char *instead;  /* for readers, when the default is found out at start */
    const char *choices;  /* "one,other"; spellings of the same, "true=on=1" */
    double min, max;      /* in units; both 0: any */
    uint64_t unit_ns;
    size_t field;    /* in sonde_prof__config */
    size_t option;   /* in sonde_prof_options; 0: none */
    const char *key; /* in the file of DD_PROFILING_NATIVE_CONFIG, beside the names; NULL: none */
    const char *doc;
} sonde_prof__setting_row;

extern const sonde_prof__setting_row sonde_prof__setting_rows[];
extern const size_t sonde_prof__setting_rows_len;

enum sonde_prof__enabled { SONDE_PROF__OFF, SONDE_PROF__ON, SONDE_PROF__AUTO };
enum sonde_prof__wire { SONDE_PROF__WIRE_AUTO, SONDE_PROF__WIRE_SPB, SONDE_PROF__WIRE_PPROF };
enum sonde_prof__cpu_engine {
    SONDE_PROF__ENGINE_TIMER,
    SONDE_PROF__ENGINE_PERF,
    SONDE_PROF__ENGINE_ITIMER
};
/* Where a value comes from; later ones win. */
typedef enum sonde_prof__origin {
    SONDE_PROF__ORIGIN_DEFAULT,
    SONDE_PROF__ORIGIN_FILE,
    SONDE_PROF__ORIGIN_ENV,
    SONDE_PROF__ORIGIN_CODE,
} sonde_prof__origin;

typedef struct sonde_prof__config {
    sonde_prof__origin origin[SONDE_PROF__ROWS_OF_CONFIG_MAX]; /* parallel to the rows */
    sonde_log_level log_level;
    uint32_t enabled;  /* enum sonde_prof__enabled */
    bool is_asked_for; /* somebody said whether */
    sonde_str injection;
    sonde_str service; /* never empty */
    bool service_is_ours;
    sonde_str env;
    sonde_str version;
    sonde_str tags;           /* DD_TAGS, as given */
    sonde_str profiling_tags; /* likewise */
    sonde_str hostname;       /* never empty */
    sonde_str external_env;
    bool process_tags;
    sonde_str git_repository;
    sonde_str git_commit;
    sonde_str runtime_id; /* empty: none was told */
    sonde_str agent_url;
    sonde_str agent_host;
    uint32_t agent_port;
    sonde_url agent;
    char agent_text[1100]; /* for logs */
    bool agentless;
    sonde_str profiling_url;
    uint64_t upload_period_ns;
    uint64_t upload_timeout_ns;
    bool flush_on_exit;
    bool do_export;
    sonde_str output_dir;
    sonde_str output_pprof;
    sonde_str pprof_prefix;
    bool hotspots;
    bool endpoints;
    bool endpoint_counts;
    uint32_t max_frames;
    bool cpu, wall, alloc, heap, lock, io, exception;
    sonde_str lock_kinds_told;
    uint32_t lock_kinds; /* what that says, as waits.h has it */
    uint64_t heap_sample_bytes;
    bool timeline;
    uint32_t compression; /* 0 none, else gzip */
    double max_overhead;  /* percent */
    sonde_str events;     /* as ddprof writes them */
    uint32_t preset;      /* place in its choices; only if told */
    bool follow_execs;
    bool show_config;
    bool crash;           /* reports of fatal signals */
    uint32_t crash_guard; /* enum sonde_prof__enabled; guard.h */
    bool is_guarded;      /* less than was told is sampled: an earlier run crashed */
    uint32_t cpu_engine;  /* enum sonde_prof__cpu_engine */
    uint32_t wall_engine; /* sonde_prof__wall_engine, samplers.h */
    uint32_t signal;
    double cpu_frequency;
    uint64_t cpu_period_ns; /* that follows from it */
    uint64_t wall_interval_ns;
    uint32_t wall_threads;
    uint64_t lock_interval_ns;
    uint64_t io_interval_ns;
    uint32_t live_max;
    uint64_t memory_bytes;
    uint64_t batch_interval_ns;
    uint32_t wire;     /* enum sonde_prof__wire */
    sonde_str exe;     /* path */
    sonde_arena texts; /* owned */
} sonde_prof__config;

typedef const char *(*sonde_prof__lookup)(void *user, const char *name); /* like getenv */

/* options may be NULL; `lookup` NULL reads the environment and the file it names.  NULL when memory ran out. */
sonde_prof__config *sonde_prof__config_new(const sonde_prof_options *options,
                                           sonde_prof__lookup lookup, void *user);
void sonde_prof__config_free(sonde_prof__config *c);

/* The same with the text of a file, empty for none. */
sonde_prof__config *sonde_prof__config_new_with(const sonde_prof_options *options,
                                                sonde_prof__lookup lookup, void *user,
                                                sonde_str file);

/* One "key:value" off the front of a text as DD_TAGS has it; false: no more. */
bool sonde_prof__tags_next(sonde_str *rest, bool by_comma, sonde_str *out_key,
                           sonde_str *out_value);

#endif /* SONDE_PROFILER_CONFIG_H */
