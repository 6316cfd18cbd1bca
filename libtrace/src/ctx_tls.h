/* ctx_tls.h - the thread-local pointer outside readers look for.  It has a file of its own because it
 * is compiled for TLS descriptors where the compiler can (CMakeLists.txt). */
#ifndef SONDE_LIBTRACE_CTX_TLS_H
#define SONDE_LIBTRACE_CTX_TLS_H

/* This thread's otel_thread_ctx_v1.  Called twice in a thread's life: finding it may be slow. */
void **sonde__ctx_tls(void);

#endif /* SONDE_LIBTRACE_CTX_TLS_H */
