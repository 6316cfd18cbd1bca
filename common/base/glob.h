/* base/glob.h - the patterns of sampling rules.
 *
 * `*` stands for any run of characters, also none; `?` for exactly one character (a byte that is not
 * UTF-8 counts as one); all others stand for themselves, ASCII letters in either case.  The whole text
 * has to match.  There are no classes and no escapes.
 *
 * Threads   pure functions, signal-safe.
 * Cost      no memory, no recursion; at most pattern.len * text.len steps, with a single `*` a walk. */
#ifndef SONDE_BASE_GLOB_H
#define SONDE_BASE_GLOB_H

#include <stdbool.h>

#include "base/str.h"

bool sonde_glob_match(sonde_str pattern, sonde_str text);

bool sonde_glob_is_any(sonde_str pattern); /* only `*`, at least one: matches every text */

#endif /* SONDE_BASE_GLOB_H */
