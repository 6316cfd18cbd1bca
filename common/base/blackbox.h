/* base/blackbox.h - layout of the black box: a file in memory that holds a process's open spans.
 *
 * libtrace writes it, the agent is given its descriptor and reads it after the process's death.  All
 * numbers in the host's byte order.  Rules and the packets of the crash socket: docs/spec/black-box.md.
 *
 * Threads   atomic members are written by more than one thread; a place's others by the thread that
 *           works on its span. */
#ifndef SONDE_BASE_BLACKBOX_H
#define SONDE_BASE_BLACKBOX_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/thread_ctx.h"

#define SONDE_BLACKBOX_MAGIC   UINT32_C(0x31424253) /* "SBB1" */
#define SONDE_BLACKBOX_VERSION 1u

#define SONDE_BLACKBOX_HEADER_BYTES 4096u
#define SONDE_BLACKBOX_AREA_BYTES   8192u
#define SONDE_BLACKBOX_AREAS        1024u
#define SONDE_BLACKBOX_PLACE_BYTES  256u
#define SONDE_BLACKBOX_PLACES       28u /* of an area */
#define SONDE_BLACKBOX_PLACES_AT    832u
#define SONDE_BLACKBOX_BYTES                                                                       \
    (SONDE_BLACKBOX_HEADER_BYTES + SONDE_BLACKBOX_AREAS * SONDE_BLACKBOX_AREA_BYTES)

#define SONDE_BLACKBOX_PROCESS_MAX  3840u
#define SONDE_BLACKBOX_THREAD_MAX   16u
#define SONDE_BLACKBOX_NAME_MAX     48u
#define SONDE_BLACKBOX_SERVICE_MAX  32u
#define SONDE_BLACKBOX_RESOURCE_MAX 96u
#define SONDE_BLACKBOX_TYPE_MAX     16u

enum sonde_blackbox_state {
    SONDE_BLACKBOX_RUNNING = 1,
    SONDE_BLACKBOX_CLOSED = 2,  /* in order: stop or exit */
    SONDE_BLACKBOX_CRASHED = 3, /* the handler of a fatal signal ran */
};

/* At offset 0 of the file. */
typedef struct sonde_blackbox_header {
    uint32_t magic;
    uint32_t version;
    uint32_t header_bytes;
    uint32_t area_bytes;
    uint32_t areas;
    uint32_t place_bytes;
    uint32_t places; /* of an area */
    uint32_t places_at;
    uint32_t pid;           /* in the process's own namespace */
    _Atomic uint32_t state; /* sonde_blackbox_state */
    uint64_t start_unix_ns;
    _Atomic uint64_t heartbeat_unix_ns; /* each second while the agent is connected */
    _Atomic uint64_t spans_without_place;
    _Atomic uint64_t threads_without_area;
    int32_t signo; /* these five: by the handler, before state 3 */
    int32_t si_code;
    uint64_t address;
    uint32_t tid;
    uint32_t process_bytes; /* used ones of `process` */
    uint8_t reserved0[160];
    uint8_t process[SONDE_BLACKBOX_PROCESS_MAX]; /* msgpack map; written before HELLO */
} sonde_blackbox_header;

enum sonde_blackbox_flags {
    SONDE_BLACKBOX_LOCAL_ROOT = 1,
    SONDE_BLACKBOX_ERROR = 2,
    SONDE_BLACKBOX_REMOTE_PARENT = 4,
    SONDE_BLACKBOX_MEASURED = 8,
};

#define SONDE_BLACKBOX_UNDECIDED INT32_MIN /* priority */

/* One open span. */
typedef struct sonde_blackbox_place {
    _Atomic uint64_t span_id; /* 0: free; written last */
    uint64_t parent_id;
    uint64_t trace_id_low;
    uint64_t trace_id_high;
    uint64_t local_root_id;
    int64_t start_unix_ns;
    _Atomic int32_t priority;
    _Atomic uint32_t flags; /* sonde_blackbox_flags */
    _Atomic uint32_t seq;   /* odd: the texts are being changed */
    uint8_t name_len;
    uint8_t service_len;
    uint8_t resource_len;
    uint8_t type_len;
    char name[SONDE_BLACKBOX_NAME_MAX]; /* UTF-8, cut between characters */
    char service[SONDE_BLACKBOX_SERVICE_MAX];
    char resource[SONDE_BLACKBOX_RESOURCE_MAX];
    char type[SONDE_BLACKBOX_TYPE_MAX];
} sonde_blackbox_place;

/* What one thread has; its record's tid 0: the area is free. */
typedef struct sonde_blackbox_area {
    sonde_thread_ctx record;
    char thread_name[SONDE_BLACKBOX_THREAD_MAX]; /* NUL-terminated */
    uint8_t reserved0[48];
    sonde_blackbox_place places[SONDE_BLACKBOX_PLACES]; /* spans that were started on the thread */
    uint8_t reserved1[192];
} sonde_blackbox_area;

#define SONDE_BLACKBOX_AT(type, member, at)                                                        \
    _Static_assert(offsetof(sonde_blackbox_##type, member) == (at), "layout of the black box")

SONDE_BLACKBOX_AT(header, magic, 0);
SONDE_BLACKBOX_AT(header, version, 4);
SONDE_BLACKBOX_AT(header, header_bytes, 8);
SONDE_BLACKBOX_AT(header, area_bytes, 12);
SONDE_BLACKBOX_AT(header, areas, 16);
SONDE_BLACKBOX_AT(header, place_bytes, 20);
SONDE_BLACKBOX_AT(header, places, 24);
SONDE_BLACKBOX_AT(header, places_at, 28);
SONDE_BLACKBOX_AT(header, pid, 32);
SONDE_BLACKBOX_AT(header, state, 36);
SONDE_BLACKBOX_AT(header, start_unix_ns, 40);
SONDE_BLACKBOX_AT(header, heartbeat_unix_ns, 48);
SONDE_BLACKBOX_AT(header, spans_without_place, 56);
SONDE_BLACKBOX_AT(header, threads_without_area, 64);
SONDE_BLACKBOX_AT(header, signo, 72);
SONDE_BLACKBOX_AT(header, si_code, 76);
SONDE_BLACKBOX_AT(header, address, 80);
SONDE_BLACKBOX_AT(header, tid, 88);
SONDE_BLACKBOX_AT(header, process_bytes, 92);
SONDE_BLACKBOX_AT(header, process, 256);
_Static_assert(sizeof(sonde_blackbox_header) == SONDE_BLACKBOX_HEADER_BYTES, "header");

SONDE_BLACKBOX_AT(place, span_id, 0);
SONDE_BLACKBOX_AT(place, parent_id, 8);
SONDE_BLACKBOX_AT(place, trace_id_low, 16);
SONDE_BLACKBOX_AT(place, trace_id_high, 24);
SONDE_BLACKBOX_AT(place, local_root_id, 32);
SONDE_BLACKBOX_AT(place, start_unix_ns, 40);
SONDE_BLACKBOX_AT(place, priority, 48);
SONDE_BLACKBOX_AT(place, flags, 52);
SONDE_BLACKBOX_AT(place, seq, 56);
SONDE_BLACKBOX_AT(place, name_len, 60);
SONDE_BLACKBOX_AT(place, service_len, 61);
SONDE_BLACKBOX_AT(place, resource_len, 62);
SONDE_BLACKBOX_AT(place, type_len, 63);
SONDE_BLACKBOX_AT(place, name, 64);
SONDE_BLACKBOX_AT(place, service, 112);
SONDE_BLACKBOX_AT(place, resource, 144);
SONDE_BLACKBOX_AT(place, type, 240);
_Static_assert(sizeof(sonde_blackbox_place) == SONDE_BLACKBOX_PLACE_BYTES, "place");

SONDE_BLACKBOX_AT(area, thread_name, 768);
SONDE_BLACKBOX_AT(area, places, SONDE_BLACKBOX_PLACES_AT);
SONDE_BLACKBOX_AT(area, reserved1, 8000);
_Static_assert(sizeof(sonde_blackbox_area) == SONDE_BLACKBOX_AREA_BYTES, "area");

/* -- the crash socket ----------------------------------------------------------------------------- */

enum sonde_crash_type {
    SONDE_CRASH_HELLO = 1, /* process; with one descriptor, or none */
    SONDE_CRASH_ACK = 2,   /* agent */
    SONDE_CRASH_CRASH = 3, /* signal handler */
};

enum sonde_crash_reason {
    SONDE_CRASH_ACCEPTED,
    SONDE_CRASH_BAD_VERSION,
    SONDE_CRASH_BAD_SIZE,
    SONDE_CRASH_BAD_SEALS,
    SONDE_CRASH_TOO_MANY,
};

typedef struct sonde_crash_head {
    uint32_t magic; /* SONDE_BLACKBOX_MAGIC */
    uint16_t version;
    uint16_t type; /* sonde_crash_type */
} sonde_crash_head;

typedef struct sonde_crash_hello {
    sonde_crash_head head;
    uint32_t pid; /* in the process's own namespace, for information */
    uint32_t file_bytes;
    uint8_t runtime_id[16];
} sonde_crash_hello;

typedef struct sonde_crash_ack {
    sonde_crash_head head;
    uint32_t reason; /* sonde_crash_reason */
} sonde_crash_ack;

#define SONDE_CRASH_REPORT_MAX (60u * 1024u)

/* Up to SONDE_CRASH_REPORT_MAX bytes of report follow. */
typedef struct sonde_crash_crash {
    sonde_crash_head head;
    int32_t signo;
    int32_t si_code;
    uint64_t address;
    uint32_t tid;
    uint32_t zero;
} sonde_crash_crash;

_Static_assert(sizeof(sonde_crash_hello) == 32, "packet");
_Static_assert(offsetof(sonde_crash_hello, runtime_id) == 16, "packet");
_Static_assert(sizeof(sonde_crash_ack) == 12, "packet");
_Static_assert(sizeof(sonde_crash_crash) == 32, "packet");
_Static_assert(offsetof(sonde_crash_crash, address) == 16, "packet");

#endif /* SONDE_BASE_BLACKBOX_H */
