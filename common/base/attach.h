/* base/attach.h - the block of memory by which `sonde profile -p PID` and the profiler inside PID speak to each other.
 *
 * Whoever attaches maps it into the other process, starts a thread there and reads and writes it from outside.  The thread
 * loads libsonde-profiler.so, unless it is there, and calls sonde_prof_attach(block), which returns when profiling is over;
 * then it unmaps the block and ends:
 *
 *   state   NONE ▶ THREAD ▶ RUNNING ▶ ENDED              or ▶ FAILED, REFUSED (message)     the process
 *   ask     GO_ON ▶ END ▶ LEAVE                                                             whoever attached
 *   beat    counts on while somebody is there: after SONDE_ATTACH_SILENCE_S without, profiling ends
 *
 * Threads   the two sides; atomics say what is ordered by what.
 * Source    docs/decisions/0014-attach.md */
#ifndef SONDE_BASE_ATTACH_H
#define SONDE_BASE_ATTACH_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SONDE_ATTACH_MAGIC     UINT32_C(0x31544153) /* "SAT1" */
#define SONDE_ATTACH_VERSION   1u
#define SONDE_ATTACH_ENTRY     "sonde_prof_attach"
#define SONDE_ATTACH_SILENCE_S 10u

enum sonde_attach_state {
    SONDE_ATTACH_NONE,
    SONDE_ATTACH_THREAD, /* the thread runs; it may wait for the loader */
    SONDE_ATTACH_RUNNING,
    SONDE_ATTACH_ENDED,
    SONDE_ATTACH_FAILED,  /* the library could not be loaded */
    SONDE_ATTACH_REFUSED, /* it will not profile here */
};

enum sonde_attach_ask {
    SONDE_ATTACH_GO_ON,
    SONDE_ATTACH_END,   /* send what there is, stop */
    SONDE_ATTACH_LEAVE, /* all was read */
};

typedef struct sonde_attach_block {
    /* Functions in the process; the thread's first instructions are in assembly and know these places. */
    uint64_t pthread_create;
    uint64_t pthread_self;
    uint64_t pthread_detach;
    uint64_t dlopen;
    uint64_t dlsym;
    uint64_t dlerror;
    uint64_t munmap;
    uint64_t attach; /* sonde_prof_attach(), when the library is there; 0: load it */

    uint64_t map; /* of the whole mapping */
    uint64_t map_bytes;
    uint64_t thread; /* pthread_t */
    int32_t created; /* what pthread_create() said */
    int32_t flags;   /* for dlopen() */
    _Atomic uint32_t state;
    _Atomic uint32_t ask;

    _Atomic uint32_t beat;
    uint32_t magic;
    uint32_t version;
    int32_t library_fd;  /* a memory file to be closed once it is loaded; -1: none */
    char symbol[32];     /* SONDE_ATTACH_ENTRY */
    char message[256];   /* of FAILED and REFUSED */
    char library[512];   /* path */
    char settings[3072]; /* "NAME=value", each NUL-terminated; an empty one ends them */
} sonde_attach_block;

_Static_assert(offsetof(sonde_attach_block, beat) == 104, "no holes");

#endif /* SONDE_BASE_ATTACH_H */
