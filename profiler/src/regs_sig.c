/* regs_sig.c - a ucontext's registers, by their DWARF numbers. */
#include "regs.h"

#include <ucontext.h>

#if defined(__x86_64__)

sonde_prof__regs sonde_prof__regs_of(const void *ucontext, uint64_t all[16])
{
    const ucontext_t *u = ucontext;
    static const uint8_t order[16] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                       REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                       REG_R12, REG_R13, REG_R14, REG_R15 };
    int i;

    for (i = 0; i < 16; i++)
        all[i] = (uint64_t)u->uc_mcontext.gregs[order[i]];
    return (
        sonde_prof__regs){ (uint64_t)u->uc_mcontext.gregs[REG_RIP], all[7], all[6], 0, all, NULL };
}

#else

sonde_prof__regs sonde_prof__regs_of(const void *ucontext, uint64_t all[16])
{
    const ucontext_t *u = ucontext;

    (void)all;
    return (sonde_prof__regs){ u->uc_mcontext.pc,
                               u->uc_mcontext.sp,
                               u->uc_mcontext.regs[29],
                               u->uc_mcontext.regs[30],
                               NULL,
                               NULL };
}

#endif
