/* agent/main/settle.h - after the start: gives back the memory that only starting needed.
 *
 * Opening libcurl, TLS and the HTTP server runs through megabytes of libraries' code that is never run again
 * (7 of 12 MiB resident, measured on Debian 12).  These pages are clean copies of files: letting go of them
 * costs a page fault for each one that is used after all. */
#ifndef SONDE_AGENT_MAIN_SETTLE_H
#define SONDE_AGENT_MAIN_SETTLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* One line of /proc/self/smaps, or several: what was learnt about the mapping it speaks of. */
typedef struct settle_mapping {
    size_t start;
    size_t end;
    bool clean_file; /* private, of a file, not writable */
} settle_mapping;

/* Takes the next line.  True when that mapping can be let go of: the line says that none of its pages was
 * ever written. */
bool settle_line(settle_mapping *m, sonde_str line);

/* The allocator's spare pages go back to the kernel; any thread. */
void trim_memory(void);

/* Once, a few seconds after the start; any thread.  What cannot be read is left as it is. */
void settle_memory(void);

#endif /* SONDE_AGENT_MAIN_SETTLE_H */
