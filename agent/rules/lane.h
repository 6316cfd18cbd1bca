/* lane.h - the rules as one thread uses them: between the files of agent/rules only. */
#ifndef SONDE_AGENT_RULES_LANE_H
#define SONDE_AGENT_RULES_LANE_H

#include "agent/rules/rules.h"
#include "base/buf.h"
#include "base/regex.h"

typedef struct tag_filter {
    sonde_str key;
    sonde_str value;      /* "": any */
    sonde_regex *pattern; /* in place of the value; NULL */
} tag_filter;

typedef struct tag_filters {
    tag_filter *items;
    size_t len;
} tag_filters;

typedef enum replace_target {
    REPLACE_TAG,
    REPLACE_RESOURCE,
    REPLACE_ALL,
} replace_target;

typedef struct replace_rule {
    replace_target target;
    sonde_str name;
    sonde_str repl;       /* Go's template */
    sonde_regex *pattern; /* with groups */
    size_t *bounds;       /* of its groups */
} replace_rule;

struct rules_lane {
    rules_lane *next;       /* free ones */
    struct lane_set *owner; /* where it goes back to */
    sonde_arena arena;      /* the tables below */
    sonde_buf text;         /* a text being replaced */
    sonde_regex **ignored;
    size_t ignored_len;
    tag_filters reject, reject_regex, require, require_regex;
    replace_rule *replace;
    size_t replace_len;
};

/* filter.c */
sonde_status filters_open(rules_lane *lane, const agent_config *c);
void filters_close(rules_lane *lane);
bool is_ignored(const rules_lane *lane, sonde_str resource);

/* replace.c; `is_first`: say what is odd about it */
sonde_status replace_open(rules_lane *lane, const agent_config *c, bool is_first,
                          sonde_error *out_error);
void replace_close(rules_lane *lane);
sonde_status replace_in_stats(rules_lane *lane, sonde_str *resource, uint32_t *http_status_code,
                              sonde_arena *arena);

/* replace_text.c: all matches of the rule in `text`; lane->text holds the result when there is one.
 * SONDE_ERR_NOT_FOUND: no match. */
sonde_status replace_text(rules_lane *lane, replace_rule *rule, sonde_str text);

#endif /* SONDE_AGENT_RULES_LANE_H */
