/* ctx_tls.c - defines otel_thread_ctx_v1, the one exported name without our prefix.
 *
 * The TLS-descriptor resolver of glibc before the fix of its bug 31372 does not keep vector registers,
 * although compilers assume it does: therefore the address is taken here, out of line, and nowhere
 * else. */
#include "ctx_tls.h"

#include <stddef.h>

#include "sonde/export.h"

extern SONDE_API __thread void *otel_thread_ctx_v1;
__thread void *otel_thread_ctx_v1 = NULL;

__attribute__((noinline, cold)) void **sonde__ctx_tls(void)
{
    return &otel_thread_ctx_v1;
}
