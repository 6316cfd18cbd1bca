/* sonde/status.h - how every function of the house that can fail says so.
 *
 * 0 is success.  The blocks say who can act: 1-19 the caller, 20-39 the machine, 40-59 the peer,
 * 60-79 Sonde itself.  Numbers are ABI: they are appended, never renumbered, never reused.
 *
 * Threads   the functions here are pure; callable from anywhere, signal handlers included.
 */
#ifndef SONDE_STATUS_H
#define SONDE_STATUS_H

#include "sonde/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */
#define SONDE_STATUS_MAP(X)                                              \
    X(OK,            0, "ok")                                            \
    X(ERR_INVALID,   1, "an argument is out of its documented range")    \
    X(ERR_CONFIG,    2, "a configuration value could not be used")       \
    X(ERR_STATE,     3, "the object is not in a state that allows this") \
    X(ERR_NOT_FOUND, 4, "nothing of that name exists")                   \
    X(ERR_NOMEM,    20, "out of memory")                                 \
    X(ERR_SYS,      21, "a system call failed")                          \
    X(ERR_TIMEOUT,  22, "the deadline passed")                           \
    X(ERR_REFUSED,  40, "the peer refused the request")                  \
    X(ERR_TOO_BIG,  41, "the input exceeds a documented limit")          \
    X(ERR_SYNTAX,   42, "the input is not well formed")                  \
    X(ERR_EOF,      43, "the input ended early")                         \
    X(ERR_CONNECT,  44, "no connection to the peer")                     \
    X(ERR_FULL,     60, "a bounded queue or table is full")              \
    X(ERR_CLOSED,   61, "the object is shutting down")
/* clang-format on */

typedef enum sonde_status {
#define X(name, number, text) SONDE_##name = number,
    SONDE_STATUS_MAP(X)
#undef X
} sonde_status;

/* The text of `s`, for people.  Static storage, never NULL; an unknown number is "unknown status". */
SONDE_API const char *sonde_status_str(sonde_status s);

/* The name of `s`, for logs ("SONDE_ERR_FULL").  Static storage, never NULL. */
SONDE_API const char *sonde_status_name(sonde_status s);

/* Detail for set-up time, where a number is not enough.  Filled on failure only; the message names
 * the value and the place: DD_TRACE_SAMPLE_RATE="1.7": above 1.0. */
typedef struct sonde_error {
    sonde_status status;
    int sys_errno;     /* 0 unless status is SONDE_ERR_SYS */
    char message[256]; /* NUL-terminated */
} sonde_error;

#ifdef __cplusplus
}
#endif
#endif /* SONDE_STATUS_H */
