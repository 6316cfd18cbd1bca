/* agent/profiles/spb.h - one batch of the profiler's wire format, read row by row.
 *
 * spb_decode() walks a body once and calls the visitor for each row, in the order of the body.  Records of
 * an unknown type, samples of an unknown kind and surplus elements are passed over, missing ones are zero.
 * A body that is not whole (no HELLO first, no END last) or not well formed is refused; the visitor may
 * have been called by then, so whoever must not take half a batch walks twice (sessions.c does).
 *
 * Threads   pure; texts are views of the body.
 * Failure   SONDE_ERR_SYNTAX, SONDE_ERR_EOF, SONDE_ERR_TOO_BIG (a text), with the byte; or what the visitor said.
 * Bounds    limits.h; counts are checked against the bytes that remain before anything is done for them.
 * Source    docs/spec/profile-batch.md
 */
#ifndef SONDE_AGENT_PROFILES_SPB_H
#define SONDE_AGENT_PROFILES_SPB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"

#include "limits.h"

#define SPB_VERSION     1
#define SPB_SESSION_LEN 16

typedef enum spb_kind {
    SPB_CPU = 1,
    SPB_WALL,
    SPB_ALLOC,
    SPB_LOCK,
    SPB_IO,
    SPB_EXCEPTION,
    SPB_CUSTOM,
    SPB_RELEASE,
    SPB_KINDS
} spb_kind;

enum spb_mapping_flags {
    SPB_MAPPING_EXEC = 1,
    SPB_MAPPING_VDSO = 2,
    SPB_MAPPING_ANON = 4,
    SPB_MAPPING_MAIN = 8,
    SPB_MAPPING_DELETED = 16,
    SPB_MAPPING_EH_FRAME = 32,
    SPB_MAPPING_ID_SYNTHETIC = 64
};

/* Ids of mappings that are none. */
#define SPB_MAP_NONE      0
#define SPB_MAP_SYNTHETIC 1

/* Columns of I/O rows and of locks. */
enum spb_io_operation { SPB_IO_READ, SPB_IO_WRITE, SPB_IO_SYNC, SPB_IO_CONNECT, SPB_IO_ACCEPT };
enum spb_fd_class { SPB_FD_UNKNOWN, SPB_FD_FILE, SPB_FD_SOCKET };

enum spb_hello_flags { SPB_FLAG_TIMELINE = 1, SPB_FLAG_KERNEL = 2 };

/* Keys of HELLO; those from SPB_KEY_PID on come with the first batch, and when they change. */
typedef enum spb_key {
    SPB_KEY_FORMAT,
    SPB_KEY_SESSION,
    SPB_KEY_SEQ,
    SPB_KEY_START,
    SPB_KEY_END,
    SPB_KEY_PID,
    SPB_KEY_NSPIDS,
    SPB_KEY_SERVICE,
    SPB_KEY_ENV,
    SPB_KEY_VERSION,
    SPB_KEY_RUNTIME_ID,
    SPB_KEY_TAGS,
    SPB_KEY_PROFILER,
    SPB_KEY_ARCH,
    SPB_KEY_EXE,
    SPB_KEY_HOSTNAME,
    SPB_KEY_PREVIOUS,
    SPB_KEY_INTERVALS,
    SPB_KEY_FLAGS,
    SPB_KEY_SEQ_BASE,
    SPB_KEY_LIBC,
    SPB_KEY_PROCESS_TAGS,
    SPB_KEYS
} spb_key;

typedef struct spb_hello {
    uint32_t present; /* bit k: key k was there */
    uint8_t session[SPB_SESSION_LEN];
    uint64_t seq;
    int64_t start_unix_ns, end_unix_ns;
    uint64_t pid; /* in its own namespace */
    uint64_t nspid[SPB_NSPIDS_MAX];
    size_t nspid_len;
    sonde_str text[SPB_KEYS]; /* of the keys that are texts */
    sonde_str tag[SPB_TAGS_MAX];
    size_t tags_len;
    uint64_t interval[SPB_KINDS]; /* 0: that engine is off */
    uint64_t flags;
    uint64_t seq_base; /* number of the first profile */
} spb_hello;

typedef struct spb_mapping {
    uint64_t id, start, length, file_offset, bias, flags, path;
    sonde_str build_id;
    uint64_t device, inode, mtime_s;
} spb_mapping;

typedef struct spb_node {
    uint64_t id, parent, mapping, address;
} spb_node;

/* `rest` are the columns behind n:
 *   CPU ns | WALL ns, state | ALLOC objects, bytes | LOCK acquisitions, ns, name, lock kind |
 *   IO operations, ns, bytes, operation, class | EXCEPTION estimate, type | CUSTOM value, type, unit |
 *   RELEASE as LOCK */
#define SPB_REST_MAX 5
typedef struct spb_sample {
    spb_kind kind;
    int64_t unix_ns;
    uint64_t thread, context, node;
    int64_t events;
    int64_t rest[SPB_REST_MAX];
} spb_sample;

typedef struct spb_thread {
    uint64_t id, tid, name, flags, start_ns, cpu_ns;
} spb_thread;

typedef struct spb_context {
    uint64_t id, trace_hi, trace_lo, span_id, local_root_id;
} spb_context;

typedef struct spb_endpoint {
    uint64_t local_root_id, endpoint, type, finished;
} spb_endpoint;

typedef struct spb_live {
    uint64_t node, thread;
    int64_t objects, bytes;
    uint64_t oldest_age_s;
} spb_live;

typedef struct spb_code {
    uint64_t mapping, address, length, name;
} spb_code;

/* Any of them may be NULL.  What is not SONDE_OK ends the walk and is what spb_decode() returns. */
typedef struct spb_visitor {
    sonde_status (*hello)(void *user, const spb_hello *h);
    sonde_status (*string)(void *user, uint64_t id, sonde_str text);
    sonde_status (*mapping)(void *user, const spb_mapping *m);
    sonde_status (*unmap)(void *user, uint64_t mapping, int64_t unix_ns);
    sonde_status (*node)(void *user, const spb_node *n);
    sonde_status (*sample)(void *user, const spb_sample *s);
    sonde_status (*thread)(void *user, const spb_thread *t);
    sonde_status (*context)(void *user, const spb_context *c);
    sonde_status (*endpoint)(void *user, const spb_endpoint *e);
    sonde_status (*live_begin)(void *user, int64_t unix_ns);
    sonde_status (*live)(void *user, const spb_live *l);
    /* `part` is the kind or step of a counter that has several, 0 else. */
    sonde_status (*stat)(void *user, uint64_t id, uint64_t part, int64_t value);
    sonde_status (*code)(void *user, const spb_code *c);
} spb_visitor;

SONDE_MUST_USE sonde_status spb_decode(sonde_str body, const spb_visitor *visitor, void *user,
                                       sonde_error *out_error);

#endif /* SONDE_AGENT_PROFILES_SPB_H */
