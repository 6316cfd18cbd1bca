/* inject_stub.c - x86-64.  In read-only data: nothing here runs in this program. */
#include "inject_stub.h"

#include <stddef.h>

#include "base/attach.h"

#if defined(__x86_64__)

#    define AT(field, offset)                                                                      \
        _Static_assert(offsetof(sonde_attach_block, field) == (offset), "as below")

AT(pthread_create, 0);
AT(pthread_self, 8);
AT(pthread_detach, 16);
AT(dlopen, 24);
AT(dlsym, 32);
AT(dlerror, 40);
AT(munmap, 48);
AT(attach, 56);
AT(map, 64);
AT(map_bytes, 72);
AT(thread, 80);
AT(created, 88);
AT(flags, 92);
AT(state, 96);
AT(ask, 100);
AT(symbol, 120);
AT(message, 152);
AT(library, 408);
_Static_assert(INJECT_STUB_GO == 4072 && INJECT_STUB_FLAGS == 4080 && INJECT_STUB_BACK == 4088 &&
                   INJECT_STUB_STATE == 4096 && sizeof(sonde_attach_block) <= INJECT_STUB_GO,
               "as below");
_Static_assert(SONDE_ATTACH_THREAD == 1 && SONDE_ATTACH_FAILED == 4 && SONDE_ATTACH_LEAVE == 2,
               "as below");

/* clang-format off */
__asm__(
    ".pushsection .rodata\n"
    ".globl inject_stub_begin, inject_stub_waits, inject_stub_leaves, inject_stub_end\n"
    ".hidden inject_stub_begin, inject_stub_waits, inject_stub_leaves, inject_stub_end\n"
    ".balign 16\n"
    "inject_stub_begin:\n"            /* rbx: the block; rsp: a multiple of 16 */
    "    lea 80(%rbx), %rdi\n"        /* pthread_create(&thread, NULL, thread, block) */
    "    xor %esi, %esi\n"
    "    lea 1f(%rip), %rdx\n"
    "    mov %rbx, %rcx\n"
    "    call *0(%rbx)\n"
    "    mov %eax, 88(%rbx)\n"
    "    mov $1000, %ebp\n"
    "inject_stub_waits:\n"            /* for whoever traces us, 1 s at most: ppoll(NULL, 0, { 0, 1 ms }, NULL) */
    "    push $1000000\n"            /* (nanosleep() would spoil what the kernel keeps of one that was interrupted) */
    "    push $0\n"
    "    mov %rsp, %rdx\n"
    "    xor %edi, %edi\n"
    "    xor %esi, %esi\n"
    "    xor %r10d, %r10d\n"
    "    mov $271, %eax\n"
    "    syscall\n"
    "    add $16, %rsp\n"
    "    dec %ebp\n"
    "    jnz inject_stub_waits\n"
    "inject_stub_leaves:\n"           /* he is gone */
    "    mov $-1, %eax\n"
    "    mov $-1, %edx\n"
    "    xrstor64 4096(%rbx)\n"
    "    pushq 4080(%rbx)\n"
    "    popfq\n"
    "    jmp *4088(%rbx)\n"

    "1:  push %rbx\n"
    "    push %rbp\n"
    "    push %r12\n"                 /* now rsp is a multiple of 16 */
    "    mov %rdi, %rbx\n"
    "    movl $1, 96(%rbx)\n"         /* THREAD */
    "    call *8(%rbx)\n"             /* pthread_detach(pthread_self()) */
    "    mov %rax, %rdi\n"
    "    call *16(%rbx)\n"
    "    mov $2000, %ebp\n"           /* until the other one is back where it was: else there is nobody to work for */
    "1:  cmpl $0, 4072(%rbx)\n"
    "    jne 1f\n"
    "    push $5000000\n"             /* nanosleep({ 0, 5 ms }, NULL), 10 s at most */
    "    push $0\n"
    "    mov %rsp, %rdi\n"
    "    xor %esi, %esi\n"
    "    mov $35, %eax\n"
    "    syscall\n"
    "    add $16, %rsp\n"
    "    dec %ebp\n"
    "    jnz 1b\n"
    "    jmp 8f\n"
    "1:  mov 56(%rbx), %rax\n"        /* the library is there */
    "    test %rax, %rax\n"
    "    jnz 2f\n"
    "    lea 408(%rbx), %rdi\n"       /* dlopen(library, flags) */
    "    mov 92(%rbx), %esi\n"
    "    call *24(%rbx)\n"
    "    test %rax, %rax\n"
    "    jz 3f\n"
    "    mov %rax, %rdi\n"            /* dlsym(it, symbol) */
    "    lea 120(%rbx), %rsi\n"
    "    call *32(%rbx)\n"
    "    test %rax, %rax\n"
    "    jz 3f\n"
    "2:  mov %rbx, %rdi\n"            /* sonde_prof_attach(block) */
    "    call *%rax\n"
    "    jmp 6f\n"

    "3:  mov 40(%rbx), %rax\n"        /* message = dlerror(), as much of it as there is room */
    "    test %rax, %rax\n"
    "    jz 5f\n"
    "    call *%rax\n"
    "    test %rax, %rax\n"
    "    jz 5f\n"
    "    xor %ecx, %ecx\n"
    "4:  movb (%rax,%rcx), %dl\n"
    "    movb %dl, 152(%rbx,%rcx)\n"
    "    test %dl, %dl\n"
    "    jz 5f\n"
    "    inc %ecx\n"
    "    cmp $255, %ecx\n"
    "    jb 4b\n"
    "5:  movl $4, 96(%rbx)\n"         /* FAILED */

    "6:  mov $1000, %ebp\n"           /* until asked to leave, 10 s at most */
    "7:  cmpl $2, 100(%rbx)\n"
    "    je 8f\n"
    "    push $10000000\n"            /* nanosleep({ 0, 10 ms }, NULL) */
    "    push $0\n"
    "    mov %rsp, %rdi\n"
    "    xor %esi, %esi\n"
    "    mov $35, %eax\n"
    "    syscall\n"
    "    add $16, %rsp\n"
    "    dec %ebp\n"
    "    jnz 7b\n"

    "8:  mov 64(%rbx), %rdi\n"        /* munmap() returns to where we would: there is nothing left here */
    "    mov 72(%rbx), %rsi\n"
    "    mov 48(%rbx), %rax\n"
    "    pop %r12\n"
    "    pop %rbp\n"
    "    pop %rbx\n"
    "    jmp *%rax\n"
    "inject_stub_end:\n"
    ".popsection\n");
/* clang-format on */

#endif
