/* regs.h - the registers a walk begins with.
 *
 * Threads   all.  Signal-safe: yes. */
#ifndef SONDE_PROFILER_REGS_H
#define SONDE_PROFILER_REGS_H

#include "unwind.h"

/* Those of a signal's ucontext; `all`: room for what the result points to. */
sonde_prof__regs sonde_prof__regs_of(const void *ucontext, uint64_t all[16]);

/* Those of the function this stands in, as they are there: pc, sp, fp. */
#if defined(__x86_64__)
#    define SONDE_PROF__REGS_HERE(r)                                                               \
        __asm__ volatile("leaq 0(%%rip), %0\n\tmovq %%rsp, %1\n\tmovq %%rbp, %2"                   \
                         : "=r"((r).pc), "=r"((r).sp), "=r"((r).fp))
#else
#    define SONDE_PROF__REGS_HERE(r)                                                               \
        __asm__ volatile("adr %0, .\n\tmov %1, sp\n\tmov %2, x29"                                  \
                         : "=r"((r).pc), "=r"((r).sp), "=r"((r).fp))
#endif

#endif /* SONDE_PROFILER_REGS_H */
