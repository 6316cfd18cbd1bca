/* resolver.h - names looked up by libc, and forks meanwhile.
 *
 * An agent may be called by name: then our thread calls getaddrinfo(), which takes locks of libc's, and blocks of the program's
 * malloc.  A child that is forked at that moment finds such locks taken for ever, although its program may have one
 * thread.  So a fork waits for a look-up, and a look-up for a fork.
 *
 * Threads   all.
 * Bounds    SONDE_PROF__RESOLVER_MS of waiting for each look-up: a name server may be silent for long. */
#ifndef SONDE_PROFILER_RESOLVER_H
#define SONDE_PROFILER_RESOLVER_H

#include <stdint.h>

#define SONDE_PROF__RESOLVER_MS 20

void sonde_prof__resolver_prepare(void); /* before the first look-up */

void sonde_prof__resolver_prefork(uint32_t max_ms);
void sonde_prof__resolver_postfork_parent(void);
void sonde_prof__resolver_postfork_child(void);

#endif /* SONDE_PROFILER_RESOLVER_H */
