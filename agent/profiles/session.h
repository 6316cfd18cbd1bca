/* agent/profiles/session.h - the dictionaries of one profiled process, and how its batches become rows.
 *
 *   batch ─▶ batch_check(): whole? well formed? ─▶ session_accepts(): do its ids follow? ─▶ session_merge() ─▶ profile
 *
 * A batch is taken whole or not at all.  Ids of a session go up and are never used again, so a batch whose
 * first new id is beyond the next one tells that another was lost: SONDE_ERR_STATE, the client starts anew.
 *
 * Threads   none: one owner at a time.
 * Bounds    SESSION_* of limits.h: what would pass them is left out and counted.
 * Source    docs/spec/profile-batch.md
 */
#ifndef SONDE_AGENT_PROFILES_SESSION_H
#define SONDE_AGENT_PROFILES_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/str.h"
#include "sonde/status.h"

#include "limits.h"
#include "profile.h"
#include "spb.h"
#include "symbols.h"

/* What a batch says before any of it is believed. */
typedef struct batch_facts {
    spb_hello hello;                     /* views of the body */
    uint64_t strings_first, nodes_first; /* UINT64_MAX: none in it */
    uint64_t strings_next, nodes_next;   /* private: while it is read */
} batch_facts;

/* Reads the whole of it.  SONDE_ERR_SYNTAX, SONDE_ERR_EOF, SONDE_ERR_TOO_BIG: refused. */
SONDE_MUST_USE sonde_status batch_check(sonde_str body, batch_facts *out, sonde_error *out_error);

/* Counters of the profiler (record STATS): the first ones are of one batch and summed up over a window, the others
 * stand as they were last sent. */
#define SESSION_STATS_MAX    32u
#define SESSION_STATS_SUMMED 4u
#define SESSION_PARTS_MAX    24u
typedef struct session_stats {
    int64_t value[SESSION_STATS_MAX][SESSION_PARTS_MAX];
    uint32_t present[SESSION_STATS_MAX]; /* bit p: part p was sent */
} session_stats;

typedef struct session_counters {
    uint64_t rows;             /* samples in batches that were taken */
    uint64_t clamped;          /* of them, those whose time was not within the batch's */
    uint64_t unknown_contexts; /* of them, those whose span is not known (any more) */
    uint64_t left_out;         /* entries of dictionaries above a ceiling */
    uint64_t too_deep; /* nodes below PROFILE_DEPTH_MAX others: they begin a stack of their own */
} session_counters;

typedef struct session_mapping {
    profile_mapping what; /* path and build_id: not used */
    uint32_t path;        /* string of the session */
    uint8_t build_id[SYMBOLS_BUILD_ID_MAX];
    uint8_t build_id_len;
    bool is_known;
} session_mapping;

typedef struct session_node {
    uint64_t address;
    uint32_t parent;
    uint32_t mapping : 18;
    uint32_t depth : 12;
} session_node;

typedef struct session_code {
    uint64_t address, length;
    uint32_t mapping;
    uint32_t name;  /* string of the session */
    uint32_t order; /* of arrival */
} session_code;

typedef struct session_thread {
    uint64_t tid;
    uint32_t name; /* string of the session */
    bool is_known;
} session_thread;

typedef struct session_context {
    uint64_t span_id, local_root_id;
    bool is_known;
} session_context;

typedef struct session {
    uint8_t id[SPB_SESSION_LEN];
    uint64_t last_seq;
    uint64_t last_batch_mono_ns; /* the owner's, as the two below */
    size_t counted_bytes;
    bool pid_is_sure; /* the kernel said it, not the client */
    pid_t host_pid;   /* as this process sees it; 0: unknown */

    /* HELLO, as it stands now */
    char *text[SPB_KEYS]; /* owned; NULL: never sent */
    char *tags;           /* "k:v,k:v"; owned; NULL: none */
    uint64_t pid, flags, seq_base;
    uint64_t interval[SPB_KINDS];

    sonde_arena string_text;
    sonde_str *strings;
    uint32_t strings_len, strings_cap;
    session_mapping *mappings;
    uint32_t mappings_len, mappings_cap;
    session_node *nodes;
    uint32_t nodes_len, nodes_cap;
    session_code *code; /* generated functions, by mapping and address */
    uint32_t code_len, code_cap;
    session_thread *threads;
    uint32_t threads_len, threads_cap;
    session_context *contexts; /* ids from contexts_first on */
    uint32_t contexts_len, contexts_cap;
    uint64_t contexts_first;
    uint64_t contexts_mark; /* the next id when the last window ended */

    /* The same things in the profile that is being filled; 0: not yet */
    uint64_t profile_serial;
    uint32_t *profile_nodes, *profile_mappings, *profile_threads;
    uint32_t profile_nodes_cap, profile_mappings_cap, profile_threads_cap;

    session_stats stats;
    session_counters counters;
    symbols *symbols; /* borrowed; NULL: no names */
} session;

SONDE_MUST_USE sonde_status session_open(const uint8_t id[SPB_SESSION_LEN], symbols *of_files,
                                         session **out_session);
void session_close(session *s); /* NULL does nothing */
size_t session_bytes(const session *s);
sonde_str session_text(const session *s, spb_key key); /* empty: never sent */

/* Whether a batch can begin a session: it says who the process is. */
bool batch_begins(const batch_facts *f);

typedef enum session_verdict {
    SESSION_TAKES,
    SESSION_HAS_IT, /* the batch was taken before */
    SESSION_RESYNC  /* something before it is missing */
} session_verdict;

session_verdict session_accepts(const session *s, const batch_facts *f);

/* HELLO's news: to be taken before the profile is chosen, for it may be another service's now. */
SONDE_MUST_USE sonde_status session_greet(session *s, const spb_hello *h);

/* The rest of a batch that was checked and accepted.  A profile other than the last one means that a window has
 * ended: spans of the one before that are forgotten.  SONDE_ERR_NOMEM: some of it may be missing, and the session
 * is to be given up. */
SONDE_MUST_USE sonde_status session_merge(session *s, sonde_str body, profile *into);

#endif /* SONDE_AGENT_PROFILES_SESSION_H */
