/* dashboards/query/profiles.h - which profiles there are, and many of them merged into one tree.
 *
 * Threads   none: one query, one thread, one reader.
 * Bounds    PROFILES_LISTED_MAX profiles a query, the latest; a deadline, after which what has been merged
 *           counts (`timed_out`).
 */
#ifndef SONDE_DASHBOARDS_QUERY_PROFILES_H
#define SONDE_DASHBOARDS_QUERY_PROFILES_H

#include "dashboards/model/flametree.h"
#include "dashboards/store/store.h"

#define PROFILES_LISTED_MAX 2000u
#define PROFILES_TYPES_MAX  SONDE_PPROF_TYPES_MAX

/* Profiles of a service in a time, or one. */
typedef struct profile_selection {
    store_profile_query query;
    int32_t day; /* 0: all of the query */
    int64_t id;
} profile_selection;

typedef struct profile_item {
    int32_t day;
    int64_t id;
    int64_t start_unix_ns, end_unix_ns;
    uint64_t samples, bytes;
    sonde_str service, env, version, host, runtime_id, family, name, types;
} profile_item;

typedef struct profile_list {
    profile_item *items; /* the latest first */
    size_t len, cap;
    bool truncated;
    sonde_pprof_type types[PROFILES_TYPES_MAX]; /* of all items, in order of first sight */
    size_t types_len;
    sonde_arena text;
} profile_list;

/* `out` is the caller's also after a failure (done). */
SONDE_MUST_USE sonde_status profiles_list(store_reader *r, const profile_selection *what,
                                          profile_list *out);
void profile_list_done(profile_list *l);

/* The type a screen shows first: CPU time if there is one.  NULL: none at all. */
const sonde_pprof_type *profiles_default_type(const profile_list *l);
const sonde_pprof_type *profiles_find_type(const profile_list *l, sonde_str name); /* NULL: none */

/* Adds the listed profiles to a column of the tree; type empty: each of the list's types to its own. */
typedef struct profiles_merge {
    sonde_str type;
    uint8_t column;
    sonde_str beside; /* type that goes to the next column; empty: none */
    const flametree_filter *filter;
    uint64_t deadline_mono_ns;
} profiles_merge;

SONDE_MUST_USE sonde_status profiles_add(store_reader *r, const profile_list *l,
                                         const profiles_merge *how, flametree *f,
                                         bool *out_timed_out);

#endif /* SONDE_DASHBOARDS_QUERY_PROFILES_H */
