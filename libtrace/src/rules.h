/* rules.h - lists of sampling rules: which spans, at what rate.
 *
 * A rule asks for a service, a name, a resource and tags that match patterns.  Each different question of
 * a list (a "condition") has a bit, so that what is known about a span is a set of bits, kept up to date
 * as the span changes, and the first rule that matches is found by comparing sets.
 *
 * Threads   a list is made by one thread and then only read, but for the limiters in it.
 * Bounds    SONDE__RULES_MAX rules and SONDE__CONDITIONS_MAX conditions of a list, SONDE__RULES_MAX_BYTES
 *           of JSON; what is beyond is left out with a log line.
 * Source    docs/spec/trace-sampling.md */
#ifndef SONDE_LIBTRACE_RULES_H
#define SONDE_LIBTRACE_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/limiter.h"
#include "base/str.h"
#include "sonde/status.h"

#define SONDE__RULES_MAX       128
#define SONDE__CONDITIONS_MAX  128
#define SONDE__RULES_MAX_BYTES 65536

typedef struct sonde__bits {
    uint64_t word[SONDE__CONDITIONS_MAX / 64];
} sonde__bits;

enum sonde__subject {
    SONDE__RULE_SERVICE,
    SONDE__RULE_NAME,
    SONDE__RULE_RESOURCE,
    SONDE__RULE_TAG,
};

typedef struct sonde__condition {
    enum sonde__subject subject;
    sonde_str key; /* of a tag */
    sonde_str pattern;
} sonde__condition;

typedef struct sonde__rule {
    sonde__bits needs;
    double rate;
    unsigned mechanism;    /* SONDE__BY_RULE, ... */
    double max_per_second; /* negative: unlimited; of rules for single spans */
    sonde_limiter limiter;
} sonde__rule;

typedef struct sonde__rules {
    uint32_t len;
    uint32_t conditions_len;
    sonde__bits always; /* conditions that tags of every span satisfy */
    uint64_t keys;      /* a bit for each key: most tags are in no condition */
    sonde__rule rule[SONDE__RULES_MAX];
    sonde__condition condition[SONDE__CONDITIONS_MAX];
    sonde_arena texts; /* owned */
} sonde__rules;

void sonde__rules_init(sonde__rules *r);
void sonde__rules_done(sonde__rules *r);

/* Appends the rules of a JSON array.  A rule that cannot be used is left out, with a log line that says
 * which and why; when the text is no JSON array, nothing is appended.  `from` names the source in the log.
 * SONDE_ERR_SYNTAX, SONDE_ERR_TOO_BIG (the text), SONDE_ERR_NOMEM: nothing was appended. */
sonde_status sonde__rules_add(sonde__rules *r, const char *from, sonde_str json);

/* Appends the rules of `inline_json`, else those of the file at `path`; both may be empty. */
void sonde__rules_add_configured(sonde__rules *r, const char *from, sonde_str inline_json,
                                 const char *from_file, sonde_str path);

/* Appends a rule for all spans. */
void sonde__rules_add_rate(sonde__rules *r, double rate, unsigned mechanism);

/* A tag that every span has from the start. */
void sonde__rules_know_tag(sonde__rules *r, sonde_str key, sonde_str value);

/* False: no rule asks for this tag. */
bool sonde__rules_ask_for(const sonde__rules *r, sonde_str key);

/* -- what is known about a span ------------------------------------------------------------------- */

/* `key` only for tags. */
void sonde__rules_note(const sonde__rules *r, enum sonde__subject subject, sonde_str key,
                       sonde_str text, sonde__bits *known);
/* A whole number matches as its decimal digits, another one only `*`. */
void sonde__rules_note_number(const sonde__rules *r, sonde_str key, double value,
                              sonde__bits *known);
void sonde__rules_note_gone(const sonde__rules *r, sonde_str key, sonde__bits *known);

/* The first rule that matches, or NULL. */
sonde__rule *sonde__rules_first(sonde__rules *r, const sonde__bits *known);

#endif /* SONDE_LIBTRACE_RULES_H */
