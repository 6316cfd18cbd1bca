/* agent/profiles/profile.h - one profile: where a process spent what, in one stretch of time.
 *
 *   sample ──▶ node ──▶ parent ... ──▶ 0             a stack is one node of a call trie, the root's parent is 0
 *     │          └────▶ location ──▶ lines ──▶ functions   filled in by symbolize.c
 *     └───────▶ thread, span, text                   its labels
 *
 * Batches are merged into it (sessions.c), exporters read it: pprof.c here, collapsed stacks and others
 * in agent/cli.  Everything is an id into an array of this struct; id 0 is always "none" and there.
 *
 * Threads   none: one owner at a time.
 * Bounds    limits.h; what finds no room is counted in `lost`, and the profile stays whole.
 */
#ifndef SONDE_AGENT_PROFILES_PROFILE_H
#define SONDE_AGENT_PROFILES_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "sonde/status.h"

#include "base/array.h"
#include "limits.h"
#include "symbols.h"

/* What a row measures; in the order of the columns. */
typedef enum profile_kind {
    PROFILE_CPU,         /* value[0] ns */
    PROFILE_WALL,        /* ns */
    PROFILE_ALLOC,       /* objects, bytes */
    PROFILE_LIVE,        /* objects, bytes */
    PROFILE_LOCK,        /* acquisitions, ns waited */
    PROFILE_RELEASE,     /* the same, by who let go */
    PROFILE_EXCEPTION,   /* estimate */
    PROFILE_SOCKET_READ, /* of all I/O: operations, ns, bytes */
    PROFILE_SOCKET_WRITE,
    PROFILE_FILE_READ,
    PROFILE_FILE_WRITE,
    PROFILE_CUSTOM, /* value */
    PROFILE_KINDS
} profile_kind;

/* Mappings that are none; real ones follow. */
#define PROFILE_MAP_NONE 0 /* the address stands for itself */
#define PROFILE_MAP_SYNTHETIC                                                                      \
    1 /* the address is a profile_synthetic, or 16 + the id of a string: kernel code, */
#define PROFILE_PROCESS                                                                            \
    (UINT64_C(1) << 40) /* or this + the id of a string: the process, as the root of its stacks */

typedef enum profile_synthetic {
    PROFILE_TRUNCATED = 1,
    PROFILE_UNWIND_FAILURE,
    PROFILE_UNKNOWN_MAPPING,
    PROFILE_INCOMPLETE,
    PROFILE_LOST,
    PROFILE_KERNEL,
    PROFILE_OTHER,
    PROFILE_OMITTED,
    PROFILE_KERNEL_SYMBOL = 16
} profile_synthetic;

typedef struct profile_mapping {
    uint64_t start, length, file_offset, bias;
    uint64_t flags;    /* spb_mapping_flags */
    uint32_t path;     /* string */
    uint32_t build_id; /* string: hex digits, "" unknown */
    /* shared; NULL: nobody could open it; of PROFILE_MAP_NONE: of generated code */
    symbol_object *object;
    bool has_functions, has_lines, has_inlines;
} profile_mapping;

typedef struct profile_function {
    uint32_t name;        /* string, demangled */
    uint32_t system_name; /* string, as in the object; 0: the same */
    uint32_t file;        /* string */
    uint32_t start_line;
} profile_function;

typedef struct profile_line {
    uint32_t function; /* 0: unknown */
    uint32_t line;     /* 0: unknown */
} profile_line;

typedef struct profile_location {
    /* as in the object; return addresses are one less, so that they name the call */
    uint64_t address;
    uint32_t mapping;
    uint32_t lines_at;  /* lines[lines_at ...]: the innermost inlined function first */
    uint32_t lines_len; /* 0: no symbol is known, or nobody asked */
    bool symbolized;
} profile_location;

static inline bool profile_location_is_kernel(const profile_location *l)
{
    return l->mapping == PROFILE_MAP_SYNTHETIC &&
           (l->address == PROFILE_KERNEL ||
            (l->address >= PROFILE_KERNEL_SYMBOL && l->address < PROFILE_PROCESS));
}

typedef struct profile_node {
    uint32_t parent; /* 0: this is the outermost frame */
    uint32_t location;
} profile_node;

typedef struct profile_thread {
    uint64_t tid;
    uint32_t name; /* string */
} profile_thread;

/* Rows with the same node, kind and labels are one row, unless they have a time. */
typedef struct profile_sample {
    int64_t end_unix_ns; /* 0: summed up */
    uint64_t span_id, local_root_id;
    uint32_t node;
    uint32_t thread;
    uint32_t text; /* string: name of the lock, type of the exception */
    uint8_t kind;  /* profile_kind */
    /* WALL: state; LOCK, RELEASE: kind of lock; I/O: operation; CUSTOM: which of `custom` */
    uint8_t detail;
    int64_t events; /* sampling events it stands for */
    int64_t value[3];
} profile_sample;

typedef struct profile_endpoint {
    uint64_t local_root_id;
    uint32_t endpoint, type; /* strings */
    uint64_t finished;
    bool carried; /* known from the window before, not heard of in this one */
} profile_endpoint;

typedef struct profile_custom {
    uint32_t type, unit; /* strings */
} profile_custom;

/* Rows (or frames, endpoints) that found no room or made no sense. */
/* clang-format off */
#define PROFILE_LOSS_MAP(X)                                                     \
    X(FULL,     "profile_full")     /* a ceiling of limits.h, or memory */      \
    X(UNKNOWN,  "unknown_id")       /* of a node nobody has described */        \
    X(CUSTOM,   "custom_types")     /* more own sample types than fit */        \
    X(NEGATIVE, "negative_value")
/* clang-format on */

typedef enum profile_loss {
#define X(name, text) PROFILE_LOSS_##name,
    PROFILE_LOSS_MAP(X)
#undef X
        PROFILE_LOSSES
} profile_loss;

extern const char *const profile_loss_names[PROFILE_LOSSES];

typedef struct profile {
    uint64_t serial; /* of all profiles of this process: for whoever remembers its ids */
    sonde_str *strings;
    uint32_t strings_len, strings_cap;
    sonde_arena text; /* what `strings` are views of */
    sonde_id_index string_index;

    profile_mapping *mappings;
    uint32_t mappings_len, mappings_cap;

    profile_function *functions;
    uint32_t functions_len, functions_cap;
    sonde_id_index function_index;

    profile_line *lines;
    uint32_t lines_len, lines_cap;

    profile_location *locations;
    uint32_t locations_len, locations_cap;
    sonde_id_index location_index;

    profile_node *nodes;
    uint32_t nodes_len, nodes_cap;
    sonde_id_index node_index;

    profile_thread *threads;
    uint32_t threads_len, threads_cap;

    profile_sample *samples;
    uint32_t samples_len, samples_cap;
    sonde_id_index sample_index;
    uint32_t timeline_len; /* of `samples`, those with a time */

    profile_sample *live; /* one snapshot: PROFILE_LIVE */
    uint32_t live_len, live_cap;

    profile_endpoint *endpoints;
    uint32_t endpoints_len, endpoints_cap;
    sonde_id_index endpoint_index;

    profile_custom custom[PROFILE_CUSTOM_MAX];
    uint32_t custom_len;

    bool enabled[PROFILE_KINDS]; /* a column of it is written, rows or not */
    bool timeline;               /* keep the time of each row */
    bool timeline_truncated;     /* some had to be summed up */
    uint64_t cpu_period_ns;
    uint64_t rows;                 /* taken: those in `samples`, before they were summed up */
    uint64_t lost[PROFILE_LOSSES]; /* rows that were not */
    uint64_t live_lost;            /* of snapshots */
} profile;

SONDE_MUST_USE sonde_status profile_open(profile **out_profile);
void profile_close(profile *p); /* NULL does nothing */
size_t profile_bytes(const profile *p);

/* The id of a text, made valid UTF-8; 0 for the empty one and when there is no room. */
uint32_t profile_string(profile *p, sonde_str text);
sonde_str profile_text(const profile *p, uint32_t string);

/* Each returns an id, or 0 when there is no room. */
uint32_t profile_add_mapping(profile *p,
                             const profile_mapping *m); /* takes a reference of m->object */
uint32_t profile_location_of(profile *p, uint32_t mapping, uint64_t address);
uint32_t profile_node_of(profile *p, uint32_t parent, uint32_t location);
uint32_t profile_add_thread(profile *p, uint64_t tid, uint32_t name);
uint32_t profile_function_of(profile *p, const profile_function *f);

/* Gives a location its one function, known without looking into the object. */
void profile_name_location(profile *p, uint32_t location, uint32_t name);
bool profile_add_line(profile *p, uint32_t location,
                      profile_line line); /* the last one added to is this location */

/* Adds to the row of the same node, kind and labels, or makes one; counts a loss when it cannot. */
void profile_add(profile *p, const profile_sample *s);
void profile_sum_up(profile_sample *to,
                    const profile_sample *s); /* of the same kind: values only */
void profile_add_live(profile *p, const profile_sample *s);
void profile_clear_live(profile *p); /* before the next snapshot */
void profile_lose(profile *p, profile_loss why, uint64_t rows);

/* Which of `custom`; PROFILE_CUSTOM_MAX: no room. */
uint32_t profile_custom_of(profile *p, uint32_t type, uint32_t unit);

/* The endpoint of a local root span, learnt now or before; NULL: none. */
void profile_set_endpoint(profile *p, uint64_t local_root_id, uint32_t endpoint, uint32_t type,
                          uint64_t finished);
void profile_carry_endpoint(profile *p, uint64_t local_root_id, uint32_t endpoint, uint32_t type);
const profile_endpoint *profile_endpoint_of(const profile *p, uint64_t local_root_id);

/* ---- reading ---- */

/* One column of values. */
typedef struct profile_column {
    sonde_str type, unit; /* "cpu-time", "nanoseconds" */
    uint8_t kind;         /* the rows that have it */
    uint8_t custom;       /* of PROFILE_CUSTOM: which */
    int8_t value;         /* index of profile_sample.value, -1: events */
} profile_column;

#define PROFILE_COLUMNS_MAX (30u + PROFILE_CUSTOM_MAX)

/* The columns there are, in the order of the format; returns how many. */
size_t profile_columns(const profile *p, profile_column out[PROFILE_COLUMNS_MAX]);
int64_t profile_value(const profile_column *c,
                      const profile_sample *s); /* 0 in other rows' columns */

/* What to call a location none of whose functions is known: "libx.so+0x1234", "[truncated]". */
sonde_str profile_fallback_name(const profile *p, uint32_t location, char room[512]);

#endif /* SONDE_AGENT_PROFILES_PROFILE_H */
