/* base/stack_libunwind.h - the calling thread's stack as text.
 *
 * libunwind.so.8 is loaded when it is first wanted, for ourselves only (RTLD_LOCAL): nothing links to it,
 * and where it is not installed there is no stack.
 *
 * Threads   all; never in a signal handler (it loads a library and takes the loader's locks).
 * Bounds    SONDE_STACK_FRAMES_MAX frames, and the caller's buffer: whole lines only. */
#ifndef SONDE_BASE_STACK_LIBUNWIND_H
#define SONDE_BASE_STACK_LIBUNWIND_H

#include <stddef.h>

#define SONDE_STACK_FRAMES_MAX 64

/* "#0 0x55d0c0ffee12 handle+0x2a (server+0x12e12)", one frame a line, innermost first; a frame without a
 * name has only its module.  Returns the bytes written, without a NUL; 0: no libunwind. */
size_t sonde_stack_text(char *out, size_t bytes);

#endif /* SONDE_BASE_STACK_LIBUNWIND_H */
