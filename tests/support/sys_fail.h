/* support/sys_fail.h - makes the n-th call of a system call fail with a chosen errno.
 *
 * Works through the linker's --wrap, for calls made from code linked statically into the test:
 * target_link_libraries(test ... room::test_sys_fail) brings the wrappers and the link options.
 *
 *   sys_fail(SYS_FAIL_CONNECT, 1, ECONNREFUSED);   // the next connect() fails
 *   ...
 *   sys_fail_clear();
 */
#ifndef SONDE_TESTS_SUPPORT_SYS_FAIL_H
#define SONDE_TESTS_SUPPORT_SYS_FAIL_H

#include <stdint.h>

/* clang-format off */
#define SYS_FAIL_MAP(X) \
    X(SOCKET) X(CONNECT) X(BIND) X(LISTEN) X(SEND) X(RECV) X(POLL) X(OPEN) X(READ) X(WRITE) X(FSYNC) \
    X(RENAME) X(MMAP) X(PTHREAD_CREATE) X(MEMFD_CREATE)

typedef enum sys_fail_call {
#define X(name) SYS_FAIL_##name,
    SYS_FAIL_MAP(X)
#undef X
    SYS_FAIL_CALLS
} sys_fail_call;
/* clang-format on */

/* The n-th call from now (1-based) fails with `error`; later ones pass again. */
void sys_fail(sys_fail_call call, uint64_t n, int error);
void sys_fail_always(sys_fail_call call, int error); /* every call until cleared */
void sys_fail_clear(void);
uint64_t sys_fail_count(sys_fail_call call); /* calls seen since the last clear */

#endif /* SONDE_TESTS_SUPPORT_SYS_FAIL_H */
