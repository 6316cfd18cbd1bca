/* statuses.h - lists of HTTP statuses and ranges of them: "500-599,418".
 *
 * Threads   pure. */
#ifndef SONDE_LIBTRACE_STATUSES_H
#define SONDE_LIBTRACE_STATUSES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

bool sonde__statuses_valid(sonde_str list);
bool sonde__statuses_have(sonde_str list, uint32_t status); /* of a valid list */

#endif /* SONDE_LIBTRACE_STATUSES_H */
