/* arena.h - the profiler's own memory: from mmap, never from the program's malloc, under one ceiling.
 *
 * The profiler stands in front of malloc and looks at threads that are inside it, so nothing of ours may go through it.
 * arena_install() sends sonde_malloc() and its kin here; slots and rings are mapped with pages_map().
 *
 * Threads   all; signal-safe: no.
 * Bounds    the ceiling counts every byte mapped, used or not.  Above it NULL, and `refused`.
 * Failure   NULL.
 * Fork      arena_prefork() and its kin around it, or a child finds a lock that nobody holds. */
#ifndef SONDE_PROFILER_ARENA_H
#define SONDE_PROFILER_ARENA_H

#include <stddef.h>
#include <stdint.h>

/* From here on sonde_malloc() and its kin take memory from the arena.  Before anything was allocated. */
void sonde_prof__arena_install(void);
void sonde_prof__arena_limit(size_t max_bytes); /* at first there is none */

size_t sonde_prof__arena_bytes(void); /* mapped now */
uint64_t
sonde_prof__arena_refused(void); /* allocations that met the ceiling, or a system without memory */

/* Zeroed whole pages. */
void *sonde_prof__pages_map(size_t bytes);
void sonde_prof__pages_unmap(void *pages, size_t bytes); /* NULL does nothing */

void sonde_prof__arena_prefork(void);
void sonde_prof__arena_postfork_parent(void);
void sonde_prof__arena_postfork_child(void);

#endif /* SONDE_PROFILER_ARENA_H */
