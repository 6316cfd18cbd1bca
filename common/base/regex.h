/* base/regex.h - regular expressions in RE2's syntax, matched in time linear in the text.
 *
 * For host processes, which no regex library may enter, and for what users of the agent filter and replace
 * (docs/decisions/0005-own-regex-for-rules.md).  The syntax is the one Go's regexp package takes:
 * literals, `.`, classes with ranges and [:names:], \d \s \w, groups, alternation, * + ? {n,m} and their
 * lazy forms, ^ $ \A \z \b \B, flags i m s U, \Q...\E, \p{...} with general categories and common scripts.  Not here,
 * though RE2 has them: other scripts, and letters beyond ASCII under the flag i, \p{Lu} and \p{Ll} among them.  A pattern is turned into a small program whose states are all followed at
 * once, so that no pattern and no text make it slow.
 *
 * Text is UTF-8; a byte that is not counts as U+FFFD.
 *
 * Threads   a compiled pattern holds what a search needs: one thread at a time.
 * Failure   SONDE_ERR_SYNTAX: RE2 refuses the pattern too; SONDE_ERR_INVALID: RE2 would take it, this
 *           does not; SONDE_ERR_TOO_BIG: beyond a bound below; SONDE_ERR_NOMEM.
 * Bounds    SONDE_REGEX_PATTERN_MAX bytes, SONDE_REGEX_STEPS_MAX instructions (a counted repetition takes
 *           its operand's as often), groups SONDE_REGEX_DEPTH_MAX deep, texts below 4 GiB.
 * Cost      no memory and no recursion in a search; at most instructions * (text.len + 1) steps, as often again
 *           for the groups of a match; texts without a byte the pattern needs are not walked over. */
#ifndef SONDE_BASE_REGEX_H
#define SONDE_BASE_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"

#define SONDE_REGEX_PATTERN_MAX 2048
#define SONDE_REGEX_STEPS_MAX   4096
#define SONDE_REGEX_RANGES_MAX  4096 /* of all classes together */
#define SONDE_REGEX_DEPTH_MAX   64
#define SONDE_REGEX_BOUNDS_MAX  65536 /* instructions * 2 * groups, where groups are asked for */

typedef struct sonde_regex sonde_regex;

/* `out_error` may be NULL. */
SONDE_MUST_USE sonde_status sonde_regex_compile(sonde_str pattern, sonde_regex **out,
                                                sonde_error *out_error);
void sonde_regex_free(sonde_regex *re); /* NULL does nothing */

/* True when the pattern matches anywhere in `text`. */
bool sonde_regex_matches(sonde_regex *re, sonde_str text);

/* The leftmost match from `from` on, of those at its start the one a backtracking matcher would find;
 * what stands before `from` counts for ^ and \b.  False: none. */
bool sonde_regex_find(sonde_regex *re, sonde_str text, size_t from, size_t *out_at,
                      size_t *out_len);

/* The same pattern for sonde_regex_find_groups(); takes more memory. */
SONDE_MUST_USE sonde_status sonde_regex_compile_groups(sonde_str pattern, sonde_regex **out,
                                                       sonde_error *out_error);

#define SONDE_REGEX_NO_BOUND SIZE_MAX /* the group had no part in the match */

/* As sonde_regex_find(); `out_bounds` gets begin and end of the match, then of each group:
 * 2 * (1 + sonde_regex_groups()). */
bool sonde_regex_find_groups(sonde_regex *re, sonde_str text, size_t from, size_t *out_bounds);

uint32_t sonde_regex_groups(const sonde_regex *re);
uint32_t sonde_regex_group_named(const sonde_regex *re, sonde_str name); /* 0: none */

size_t sonde_regex_bytes(const sonde_regex *re);   /* memory held */
uint64_t sonde_regex_work(const sonde_regex *re);  /* steps of the last search, for tests */
uint32_t sonde_regex_steps(const sonde_regex *re); /* instructions */

#endif /* SONDE_BASE_REGEX_H */
