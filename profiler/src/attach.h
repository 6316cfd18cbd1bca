/* attach.h - profiling for somebody who came from outside (`sonde profile -p`), and only while he is there.
 *
 * Threads   the one he made.
 * See also  base/attach.h */
#ifndef SONDE_PROFILER_ATTACH_H
#define SONDE_PROFILER_ATTACH_H

#include <stdbool.h>

/* This process is being profiled for somebody outside.  A child it forks is not: he knows nothing of it. */
bool sonde_prof__attach_is_on(void);

void sonde_prof__attach_postfork_child(void);

#endif /* SONDE_PROFILER_ATTACH_H */
