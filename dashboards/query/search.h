/* dashboards/query/search.h - the span search language: text to tree, tree against spans.
 *
 * Grammar and meaning: docs/spec/query-language.md.
 *
 * Threads   a search is constant once parsed.
 * Bounds    SEARCH_TEXT_MAX_BYTES, SEARCH_DEPTH_MAX, SEARCH_TERMS_MAX; beyond them an error.
 */
#ifndef SONDE_DASHBOARDS_QUERY_SEARCH_H
#define SONDE_DASHBOARDS_QUERY_SEARCH_H

#include "base/arena.h"
#include "dashboards/model/frame.h"
#include "dashboards/model/summary.h"

#define SEARCH_TEXT_MAX_BYTES 8192u
#define SEARCH_DEPTH_MAX      32
#define SEARCH_TERMS_MAX      256
#define SEARCH_TOKENS_MAX     16

typedef enum search_kind { SEARCH_ALL, SEARCH_AND, SEARCH_OR, SEARCH_NOT, SEARCH_TERM } search_kind;

typedef enum search_field {
    SEARCH_ATTR, /* a tag; `key` says which */
    SEARCH_SERVICE,
    SEARCH_NAME,
    SEARCH_RESOURCE,
    SEARCH_TYPE,
    SEARCH_ENV,
    SEARCH_HOST,
    SEARCH_VERSION,
    SEARCH_STATUS,
    SEARCH_SPAN_ID,
    SEARCH_PARENT_ID,
    SEARCH_TRACE_ID,
    SEARCH_DURATION,
    SEARCH_TIMESTAMP,
    SEARCH_TAGS, /* tags:"key:value" */
    SEARCH_TEXT, /* no key: in the resource */
    SEARCH_ANY,  /* *:text */
} search_field;

typedef enum search_op {
    SEARCH_EQUAL,   /* text, and number when it is one */
    SEARCH_PATTERN, /* text with * and ? */
    SEARCH_EXISTS,
    SEARCH_RANGE, /* low and high, each included or not; infinite: open */
} search_op;

/* A character of a pattern that stands for itself although it is * or ?: preceded by this byte. */
#define SEARCH_LITERAL '\x01'

typedef struct search_node {
    search_kind kind;
    const struct search_node *left; /* AND, OR, NOT */
    const struct search_node *right;
    /* a term */
    search_field field;
    search_op op;
    sonde_str key;
    sonde_str text;
    bool is_number; /* text is one: */
    double number;
    double low, high;
    bool low_included, high_included;
    uint64_t id_hi, id_lo; /* ids */
} search_node;

typedef struct search {
    sonde_arena arena;
    const search_node *root;
} search;

typedef struct search_error {
    size_t at; /* byte of the text */
    char message[96];
} search_error;

/* `text` is not needed afterwards.  SONDE_ERR_SYNTAX and TOO_BIG fill *out_error. */
SONDE_MUST_USE sonde_status search_parse(sonde_str text, search *out, search_error *out_error);
void search_done(search *s); /* a zeroed one, too */

bool search_matches(const search *s, const frame_view *v, const model_span *span);

/* What the summary of a trace's part says about its spans. */
typedef enum search_share {
    SEARCH_NONE,  /* no span matches */
    SEARCH_MAYBE, /* it cannot tell */
    SEARCH_SOME,  /* at least one does */
    SEARCH_EVERY, /* all do */
} search_share;

search_share search_share_of(const search *s, const frame_part *part);

/* Tokens every frame with a match holds (filter.h); returns how many. */
size_t search_tokens(const search *s, uint64_t out_tokens[SEARCH_TOKENS_MAX]);

/* The one trace all matches are in, if the query says so. */
bool search_only_trace(const search *s, uint64_t *out_hi, uint64_t *out_lo);

#endif /* SONDE_DASHBOARDS_QUERY_SEARCH_H */
