/* base/regex_unicode.h - classes of Unicode by the names RE2 has for them: between regex_parse.c and its table only.
 *
 * All general categories ("L", "Lu", "Nd", ...; "Any"), and some scripts ("Latin", "Greek", "Han", ...).
 *
 * Threads   pure functions. */
#ifndef SONDE_BASE_REGEX_UNICODE_H
#define SONDE_BASE_REGEX_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* Hands over the ranges of a class in their order, some of which may touch.  False: no such class here. */
bool regex_unicode_walk(sonde_str name, void (*take)(void *user, uint32_t lo, uint32_t hi),
                        void *user);

/* What a class has in addition when case does not count, NULL-ended by 0; NULL: that is not known here. */
const uint32_t *regex_unicode_folded(sonde_str name);

#endif /* SONDE_BASE_REGEX_UNICODE_H */
