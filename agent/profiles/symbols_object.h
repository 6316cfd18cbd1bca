/* symbols_object.h - an object and its index, for the files that keep them (symbols.c) and make them (symbols_read.c). */
#ifndef SONDE_AGENT_PROFILES_SYMBOLS_OBJECT_H
#define SONDE_AGENT_PROFILES_SYMBOLS_OBJECT_H

#include <pthread.h>
#include <sys/types.h>
#include <time.h>

#include "base/mutex.h"
#include "base/table.h"

#include "symbols_internal.h"

#define SYMBOL_KEY_MAX_BYTES 160

struct symbol_object {
    symbols *of;
    char key[SYMBOL_KEY_MAX_BYTES];
    sonde_str path;         /* owned */
    symbol_request request; /* path: the one above; build_id: below */
    uint8_t build_id[SYMBOLS_BUILD_ID_MAX];
    unsigned refs; /* guarded by symbols.mu, as everything down to is_to_open */
    size_t bytes;
    symbol_object *newer, *older; /* by use */
    int fd;                       /* -1: none, or indexed already */
    uint64_t tried_mono_ns;       /* to open it; 0: never */
    symbol_object *next_to_open;
    bool is_to_open;
    size_t index_bytes; /* of `bytes` */
    bool indexed;       /* written by the resolving thread, which alone reads it without mu */
    /* the resolving thread's */
    uint64_t looked_mono_ns;
    symbol_index index;
    bool is_whole; /* the index is of a table with every function, not only those others may call */
    bool is_loaded;      /* it came from the disk */
    bool wants_debug;    /* a debug file may be on its way */
    uint64_t arrived;    /* debug files, when it was last looked for */
    dwarf_reader *dwarf; /* NULL: none */
    int map_fd;          /* of generated code: its map; -1: none */
    off_t map_bytes;     /* as it was when it was read */
    struct timespec map_time;
};

struct symbols {
    symbols_options options;
    sonde_mutex mu;
    sonde_table objects;
    symbol_object *newest, *oldest;
    size_t bytes;
    unsigned open_fds;
    symbol_object *to_open; /* each with a reference */
    unsigned opening;       /* files somebody is at */
    pthread_cond_t opened;  /* opening fell to 0 */
    sonde_buf names;        /* of the last answer; the resolving thread's */
    symbols_counters counters;
};

static inline void symbols_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static inline uint64_t symbols_now(const symbols *s)
{
    return s->options.clock->mono_ns(s->options.clock->user);
}

/* ---- symbols_read.c: the resolving thread's ---- */

/* Makes the index, sealed, of the object's file or map; takes over `fd`, which may be -1. */
SONDE_MUST_USE sonde_status object_read(symbol_object *o, int fd);

/* What is still missing others may have: they are asked behind our back, and it is looked for when something came. */
void object_want_debug(symbol_object *o);
bool object_has_debug_come(symbol_object *o);

#endif /* SONDE_AGENT_PROFILES_SYMBOLS_OBJECT_H */
