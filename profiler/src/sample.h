/* sample.h - one sample as it travels in a ring, from the thread it was taken on to the drainer.
 *
 *   sampler (handler, hook, wall thread) ──▶ ring of the thread ──▶ drainer ──▶ call trie ──▶ batch or pprof
 *
 * A record is this head and `depth` addresses behind it, the interrupted frame first, as
 * sonde_prof__unwind() writes them; those of the kernel, if there are any, in front of them.  What a kind measures stands in `value`:
 *
 *   kind        value[0]                 value[1]            value[2]               value[3]
 *   CPU         nanoseconds              -                   -                      -
 *   WALL        nanoseconds              state               -                      -
 *   ALLOC       objects, estimate / 256  bytes, estimate     address                serial (heap.h)
 *   LOCK        acquisitions, est.       waited ns, est.     address of the lock    lock kind
 *   IO          operations, est.         ns, est.            bytes, est.            operation | class << 8
 *   EXCEPTION   estimate                 its type's name     -                      -
 *   CUSTOM      value                    type                unit                   -
 *   RELEASE     acquisitions, est.       waited ns, est.     address of the lock    lock kind: what LOCK says, by who let go
 *
 * Threads   a record is written by one thread and read by one, see ring.h.
 * Source    docs/spec/profile-batch.md */
#ifndef SONDE_PROFILER_SAMPLE_H
#define SONDE_PROFILER_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

/* numbers are those of the batch format */
typedef enum sonde_prof__kind {
    SONDE_PROF__CPU = 1,
    SONDE_PROF__WALL = 2,
    SONDE_PROF__ALLOC = 3,
    SONDE_PROF__LOCK = 4,
    SONDE_PROF__IO = 5,
    SONDE_PROF__EXCEPTION = 6,
    SONDE_PROF__CUSTOM = 7,
    SONDE_PROF__RELEASE = 8,
    SONDE_PROF__KINDS
} sonde_prof__kind;

/* of a thread, in a wall sample; numbers are those of the batch format */
typedef enum sonde_prof__state {
    SONDE_PROF__RUNNING = 0,
    SONDE_PROF__IN_IO = 1,
    SONDE_PROF__IN_LOCK = 2,
    SONDE_PROF__IN_SLEEP = 3,
    SONDE_PROF__IN_POLL = 4,
    SONDE_PROF__IN_WAIT = 5,
    SONDE_PROF__BLOCKED = 6
} sonde_prof__state;

/* Whose work it was; all zero: nobody's. */
typedef struct sonde_prof__context {
    uint64_t trace_hi;
    uint64_t trace_lo;
    uint64_t span_id;
    uint64_t local_root_id;
} sonde_prof__context;

typedef struct sonde_prof__sample {
    uint32_t bytes; /* of the record, frames included; a multiple of 8 */
    uint16_t depth;
    uint8_t kind; /* sonde_prof__kind */
    uint8_t end;  /* sonde_prof__end: how the walk ended */
    uint32_t tid; /* of the thread it is about */
    /* sampling events it stands for: CPU 1 + overrun, WALL the weight of its stratum, else 1 */
    uint32_t events;
    uint64_t mono_ns;
    sonde_prof__context context;
    int64_t value[4];
    uint64_t frames[];
} sonde_prof__sample;

/* How many of `value`, from the first on, are sums of what happened. */
static inline unsigned sonde_prof__sums_of(uint32_t kind)
{
    return kind == SONDE_PROF__ALLOC || kind == SONDE_PROF__LOCK || kind == SONDE_PROF__RELEASE ? 2
           : kind == SONDE_PROF__IO                                                             ? 3
                                                                                                : 1;
}

/* What a lost one is worth. */
static inline int64_t sonde_prof__worth(const sonde_prof__sample *s)
{
    return s->value[sonde_prof__sums_of(s->kind) == 2 ? 1 : 0];
}

/* Of a release nobody saw: no thread, no stack. */
static inline bool sonde_prof__is_nobodys(const sonde_prof__sample *s)
{
    return s->kind == SONDE_PROF__RELEASE && s->tid == 0;
}

/* Frames of the kernel lie in the upper half of all addresses, those of programs never. */
#define SONDE_PROF__IS_KERNEL(address) ((address) >> 63 != 0)

/* 64 frames of the kernel, 512 of the program. */
#define SONDE_PROF__SAMPLE_BYTES_MAX (sizeof(sonde_prof__sample) + (64 + 512) * sizeof(uint64_t))

#endif /* SONDE_PROFILER_SAMPLE_H */
