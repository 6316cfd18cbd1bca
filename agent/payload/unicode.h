/* agent/payload/unicode.h - what the text rules need to know about code points beyond ASCII.
 *
 * Threads   pure functions.  Cost: one binary search. */
#ifndef SONDE_AGENT_PAYLOAD_UNICODE_H
#define SONDE_AGENT_PAYLOAD_UNICODE_H

#include <stdbool.h>

bool unicode_is_letter(unsigned rune); /* categories Lu Ll Lt Lm Lo */
bool unicode_is_digit(unsigned rune);  /* category Nd */

/* The lower case of an upper-case letter when it takes as many bytes of UTF-8; else `rune`. */
unsigned unicode_lower_same_width(unsigned rune);

#endif /* SONDE_AGENT_PAYLOAD_UNICODE_H */
