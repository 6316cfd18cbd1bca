/* dashboards/model/flametree.h - the stacks of many profiles, merged: a tree of frames with columns of values.
 *
 * A frame is a function of an object ("object+0xADDR" where nobody knows a name).  Every profile that is
 * added brings its samples through a filter (thread, span, endpoint, object, function, time); what is
 * left ends up in one column of the tree: one for a flame graph, two for a comparison, one a sample type
 * for a file.  Values of frames count a sample once, however often the frame is in its stack.
 *
 *     flametree_init(&f, 1);
 *     flametree_add(&f, &view, &filter, 0);       // of each profile
 *     flametree_finish(&f);                       // totals
 *     ... f.tree, flametree_self(), flametree_total() ...
 *
 * Inverted, a node is below the function it called, and `is_inlined` says that it was inlined into those below it.
 *
 * Threads   none.
 * Bounds    FLAMETREE_NODES_MAX nodes, FLAMETREE_FRAMES_MAX frames, with many columns FLAMETREE_VALUES_MAX of
 *           each; FLAMETREE_TEXT_MAX_BYTES of names: beyond them functions are left out of stacks, their
 *           values stay with the callers, and `truncated` is set.  FLAMETREE_KEYS_MAX of each kind of key.
 */
#ifndef SONDE_DASHBOARDS_MODEL_FLAMETREE_H
#define SONDE_DASHBOARDS_MODEL_FLAMETREE_H

#include "base/regex.h"
#include "base/table.h"
#include "codec/pprof_read.h"
#include "dashboards/model/lanes.h"
#include "dashboards/model/sample_rows.h"
#include "flame/flame.h"

#define FLAMETREE_NODES_MAX      500000u
#define FLAMETREE_FRAMES_MAX     200000u
#define FLAMETREE_VALUES_MAX     1000000u /* nodes times columns */
#define FLAMETREE_TEXT_MAX_BYTES (64u * 1024 * 1024)
#define FLAMETREE_DEPTH_MAX      512u
#define FLAMETREE_COLUMNS_MAX    SONDE_PPROF_TYPES_MAX
#define FLAMETREE_KEYS_MAX       1000u
#define FLAMETREE_BUCKETS_MAX    1000u

/* What a sample must be to count.  Empty: anything. */
typedef struct flametree_filter {
    sonde_str thread;              /* name, or id in decimal */
    sonde_str endpoint;            /* trace endpoint */
    const uint64_t *spans, *roots; /* sorted; a sample is of one of these spans, local roots */
    size_t spans_len, roots_len;
    sonde_regex *object; /* some frame's object matches */
    sonde_regex *frame;  /* some frame's name matches */
    sonde_str focus;     /* some frame has this name; the stack begins with its outermost call */
    bool inverted;       /* leaf first; with focus: from there to its callers */
    int64_t from_unix_ns, to_unix_ns; /* of samples that carry a time; both 0: any */
} flametree_filter;

/* What is known of a frame beside its texts. */
typedef struct flametree_frame {
    uint8_t matches;  /* private: what the patterns of the filter said */
    uint32_t seen_by; /* private: sample that counted it last */
} flametree_frame;

/* A label's value and what its samples weigh. */
typedef struct flametree_key {
    sonde_str text;
    int64_t value;
} flametree_key;

typedef struct flametree_keys {
    sonde_table table; /* text -> index + 1 */
    flametree_key *items;
    size_t len, cap;
} flametree_keys;

/* Samples of one local root. */
typedef struct flametree_root {
    uint64_t id;
    sonde_str endpoint;
    int64_t value;
    uint64_t samples;
    int64_t first_unix_ns, last_unix_ns; /* of the profiles, or of the samples when they say it */
} flametree_root;

typedef struct flametree {
    sonde_flame tree;
    flametree_frame *frames; /* beside the tree's; as the values */
    size_t frames_cap;
    int64_t *frame_values; /* frames * columns * 2: self, total */
    int64_t totals[FLAMETREE_COLUMNS_MAX];
    uint64_t samples[FLAMETREE_COLUMNS_MAX]; /* that counted */
    uint64_t profiles[FLAMETREE_COLUMNS_MAX];
    bool keeps_labels; /* by flametree_keep_labels() */
    sample_rows rows;  /* of samples with labels, then */
    bool truncated;    /* by flametree_finish(): something found no room */
    bool no_memory;    /* sticks; flametree_finish() says so */

    flametree_keys threads, endpoints, objects; /* of column 0, whatever the filter */
    flametree_keys spans;                       /* ids in decimal, of column 0, after the filter */
    flametree_keys roots_by_id;                 /* of column 0, after the filter */
    flametree_root *roots;                      /* beside roots_by_id.items */
    size_t roots_cap;
    int64_t spans_value; /* of samples with a span, column 0 */

    /* timeline of column 0; buckets_len 0: none */
    int64_t bucket_from_ns, bucket_step_ns;
    size_t buckets_len;
    double *buckets;

    lanes *lanes; /* the owner's; NULL: none */

    uint32_t sample_no;
    uint32_t *line_frames, *location_frames; /* of the profile in hand: index + 1 */
    size_t line_frames_cap, location_frames_cap;
    uint32_t *stack; /* root first: frames, with a mark on inlined ones */
    size_t stack_len;
} flametree;

sonde_status flametree_init(flametree *f, size_t columns); /* done() also after a failure */
void flametree_done(flametree *f);

/* Keeps samples apart by their labels, as far as there is room, in `rows`; before the first is added. */
void flametree_keep_labels(flametree *f);

/* Counts the samples of `column` by time, in `len` buckets of step_ns from `from_unix_ns`. */
SONDE_MUST_USE sonde_status flametree_want_buckets(flametree *f, int64_t from_unix_ns,
                                                   int64_t step_ns, size_t len);

/* Where a profile's values go: the column of each of its types, FLAMETREE_NO_COLUMN for none. */
#define FLAMETREE_NO_COLUMN 0xff
typedef struct flametree_source {
    uint8_t column_of[SONDE_PPROF_TYPES_MAX];
    int64_t start_unix_ns, end_unix_ns; /* of samples without a time of their own */
} flametree_source;

void flametree_add(flametree *f, sonde_pprof_view *v, const flametree_filter *filter,
                   const flametree_source *source);
SONDE_MUST_USE sonde_status flametree_finish(flametree *f);

static inline int64_t flametree_self(const flametree *f, size_t node, size_t column)
{
    return sonde_flame_self(&f->tree, node, column);
}

static inline int64_t flametree_total(const flametree *f, size_t node, size_t column)
{
    return sonde_flame_total(&f->tree, node, column);
}

static inline int64_t flametree_frame_self(const flametree *f, size_t frame, size_t column)
{
    return f->frame_values[(frame * f->tree.columns + column) * 2];
}

static inline int64_t flametree_frame_total(const flametree *f, size_t frame, size_t column)
{
    return f->frame_values[(frame * f->tree.columns + column) * 2 + 1];
}

#endif /* SONDE_DASHBOARDS_MODEL_FLAMETREE_H */
