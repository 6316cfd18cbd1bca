/* base/thread_ctx.h - layout of the per-thread context record libtrace writes and profilers read.
 *
 * Bytes 0..639 follow the OpenTelemetry thread-context layout (otel_thread_ctx_v1); bytes 640..767 are
 * for our own profiler.  Only the layout is here; libtrace alone defines the thread-local pointer.
 * Writer protocol and ownership: docs/spec/thread-context.md. */
#ifndef SONDE_BASE_THREAD_CTX_H
#define SONDE_BASE_THREAD_CTX_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SONDE_THREAD_CTX_ATTRS_MAX    612
#define SONDE_THREAD_CTX_TAIL_VERSION 1u

typedef struct sonde_thread_ctx {
    uint8_t trace_id[16];  /* big-endian; all zero: none */
    uint8_t span_id[8];    /* big-endian */
    _Atomic uint8_t valid; /* 1: consistent; else no context */
    uint8_t trace_flags;   /* W3C: 1 sampled, 2 random id */
    uint16_t attrs_bytes;  /* used bytes of attrs, host endian */
    /* {u8 key index, u8 length, bytes}...; first: local root */
    uint8_t attrs[SONDE_THREAD_CTX_ATTRS_MAX];

    uint32_t tail_version; /* SONDE_THREAD_CTX_TAIL_VERSION */
    _Atomic uint32_t tid;  /* 0: record free */
    _Atomic uint32_t seq;  /* odd while being written */
    uint32_t reserved0;
    uint64_t span_id_host; /* 0: none */
    uint64_t local_root_id_host;
    _Atomic uint64_t cpu_ns; /* the three costs: written by the profiler on this thread */
    _Atomic uint64_t alloc_bytes;
    _Atomic uint64_t lock_wait_ns;
    uint8_t reserved1[72];
} __attribute__((aligned(64))) sonde_thread_ctx;

_Static_assert(offsetof(sonde_thread_ctx, valid) == 24, "otel_thread_ctx_v1");
_Static_assert(offsetof(sonde_thread_ctx, attrs) == 28, "otel_thread_ctx_v1");
_Static_assert(offsetof(sonde_thread_ctx, tail_version) == 640, "private tail");
_Static_assert(offsetof(sonde_thread_ctx, cpu_ns) == 672, "private tail");
_Static_assert(sizeof(sonde_thread_ctx) == 768, "record size");

#endif /* SONDE_BASE_THREAD_CTX_H */
