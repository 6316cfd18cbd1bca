/* way_back.c - x86-64.  In read-only data: nothing here runs in this program. */
#include "way_back.h"

#include <stddef.h>
#include <string.h>

#if defined(__x86_64__)

typedef struct values {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rsp, rip;
    uint64_t mask;
} values;

_Static_assert(offsetof(values, rsp) == 120 && offsetof(values, mask) == 136 &&
                   sizeof(values) == 144,
               "as below");

/* No instruction here changes flags, and none needs a stack: a signal may come as soon as it may. */
/* clang-format off */
__asm__(
    ".pushsection .rodata\n"
    ".globl way_back_begin, way_back_resume, way_back_end\n"
    ".hidden way_back_begin, way_back_resume, way_back_end\n"
    ".balign 16\n"
    "way_back_begin:\n"
    "    syscall\n"
    "way_back_resume:\n"
    "    mov 8+9f(%rip), %rbx\n"
    "    mov 48+9f(%rip), %rbp\n"
    "    mov 56+9f(%rip), %r8\n"
    "    mov 64+9f(%rip), %r9\n"
    "    mov 88+9f(%rip), %r12\n"
    "    mov 96+9f(%rip), %r13\n"
    "    mov 104+9f(%rip), %r14\n"
    "    mov 112+9f(%rip), %r15\n"
    "    mov 120+9f(%rip), %rsp\n"
    "    mov $2, %edi\n"              /* rt_sigprocmask(SIG_SETMASK, &mask, NULL, 8) */
    "    lea 136+9f(%rip), %rsi\n"
    "    mov $0, %edx\n"
    "    mov $8, %r10d\n"
    "    mov $14, %eax\n"
    "    syscall\n"
    "    mov 0+9f(%rip), %rax\n"
    "    mov 16+9f(%rip), %rcx\n"
    "    mov 24+9f(%rip), %rdx\n"
    "    mov 32+9f(%rip), %rsi\n"
    "    mov 40+9f(%rip), %rdi\n"
    "    mov 72+9f(%rip), %r10\n"
    "    mov 80+9f(%rip), %r11\n"
    "    jmp *128+9f(%rip)\n"
    "    .balign 8, 0xcc\n"
    "9:  .fill 144\n"                 /* values */
    "way_back_end:\n"
    ".popsection\n");
/* clang-format on */

void way_back_make(way_back out, const struct user_regs_struct *to, uint64_t mask)
{
    const values v = { .rax = to->rax,
                       .rbx = to->rbx,
                       .rcx = to->rcx,
                       .rdx = to->rdx,
                       .rsi = to->rsi,
                       .rdi = to->rdi,
                       .rbp = to->rbp,
                       .r8 = to->r8,
                       .r9 = to->r9,
                       .r10 = to->r10,
                       .r11 = to->r11,
                       .r12 = to->r12,
                       .r13 = to->r13,
                       .r14 = to->r14,
                       .r15 = to->r15,
                       .rsp = to->rsp,
                       .rip = to->rip,
                       .mask = mask };
    size_t len = (size_t)(way_back_end - way_back_begin);

    memset(out, 0, sizeof(way_back));
    if (len > sizeof(way_back))
        return;
    memcpy(out, way_back_begin, len);
    memcpy((char *)out + len - sizeof(v), &v, sizeof(v));
}

#endif
