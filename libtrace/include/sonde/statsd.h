/* sonde/statsd.h - metrics of the program to a DogStatsD agent.
 *
 *   sonde_statsd *s = sonde_statsd_default();
 *
 *   sonde_statsd_count(s, "orders.placed", 1, "kind:gift,shop:berlin");
 *   sonde_statsd_timing(s, "orders.time", 12.5, NULL);
 *
 * Needs no sonde_start().  A client collects: counts are summed, of gauges the last value and of sets each
 * member once is kept, values of histograms, distributions and timings are packed into one line.  Every
 * two seconds what was collected goes out in datagrams.
 *
 * Who sends    while the tracer is started, its background thread.  Else the calling thread whenever the
 *              interval has passed, and whoever calls sonde_statsd_flush() or sonde_statsd_free().  A
 *              thread that fills a datagram sends it.  The default client sends what is left when the
 *              process exits.
 * Never waits  a metric call writes to a non-blocking socket at most: what the receiver does not take is
 *              dropped and counted.  Host names are looked up in sonde_statsd_new(), by sonde_statsd_flush()
 *              and by the background thread only.
 * Names        `name`: what DogStatsD gives a meaning (':' '|' control bytes) becomes '_'; the rest is for
 *              the intake, which keeps ASCII letters, digits, '_' and '.'.
 *              `tags`: "key:value,other"; NULL or "" for none; '|' and control bytes become '_'.
 *              Both are copied.  One order of tags is one context: keep to it.
 * NULL         a valid, inert client and a refused name: the call does nothing.
 * Threads      all; sonde_statsd_free() when no other thread uses the client any more.  Not in signal
 *              handlers.
 * Bounds       contexts_max contexts (name, tags, type, cardinality, and the member of a set or the rate of
 *              values); what finds no place is sent as a line of its own (counter contexts_refused).  64 KiB
 *              of lines waiting; beyond it new ones are dropped (SONDE_STATSD_DROP_QUEUE_FULL).
 * Fork         the child's clients begin empty, with a socket of their own; what the parent had collected
 *              is the parent's to send.
 * Cost         a collected count: about 40 ns, no allocation once its context exists, no system call but
 *              for a coarse clock that costs none.
 * Source       docs/spec/statsd.md
 */
#ifndef SONDE_STATSD_H
#define SONDE_STATSD_H

#if defined(SONDE_DISABLE) && !defined(SONDE_SONDE_H)
#    error "with SONDE_DISABLE include <sonde/sonde.h> first"
#endif

#include <stddef.h>
#include <stdint.h>

#include "sonde/export.h"
#include "sonde/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonde_statsd sonde_statsd;

/* Zero-initialise: every field then means its default. */
typedef struct sonde_statsd_options {
    uint32_t struct_bytes; /* sizeof(sonde_statsd_options); 0: all fields of this header */
    int32_t aggregate;     /* -1: every call becomes a line; default: collect */
    int32_t pack;        /* -1: one value a line, for agents before 6.25 and 7.25; default: pack */
    int32_t by_hand;     /* 1: only sonde_statsd_flush() and sonde_statsd_free() send what was
                              collected; default: see above */
    const char *address; /* "udp://host:port", "host:port",
                              "unix:///path": datagrams, or a stream where the socket is one,
                              "unixgram:///path", "unixstream:///path".
                              Default: DD_DOGSTATSD_URL; DD_DOGSTATSD_HOST and _PORT; the agent's socket
                              where there is one; the agent's host */
    const char *prefix;  /* before every name, as it is: "shop."; default: none */
    const char *tags;    /* on everything, behind those of DD_ENTITY_ID, DD_ENV, DD_SERVICE and
                              DD_VERSION; default: none */
    const char *cardinality;     /* "none", "low", "orchestrator", "high": tags the agent may add;
                                     default: DD_CARDINALITY, else none is sent */
    uint32_t max_datagram_bytes; /* 64 to 65 507; default: 1 432 for UDP, else 8 192 */
    uint32_t flush_interval_ms;  /* 10 to 3 600 000; default: 2 000 */
    uint32_t contexts_max;       /* 1 to 1 048 576; default: 4 096 */
} sonde_statsd_options;

/* A client with a socket and collection of its own.  Variables and host files are read as sonde_start()
 * would, those of a tracer that is started are taken.
 *
 * options   may be NULL.
 * Returns   NULL when memory ran out or the address is none (one log line).  Nobody listening there is
 *           no failure: the client tries again, at most once a second. */
SONDE_API sonde_statsd *sonde_statsd_new(const sonde_statsd_options *options);

/* Sends what it can within 100 ms and ends the client.  NULL and the default client do nothing. */
SONDE_API void sonde_statsd_free(sonde_statsd *s);

/* The process's client, made by the first call; not to be freed.  NULL when that failed. */
SONDE_API sonde_statsd *sonde_statsd_default(void);

/* -- metrics -------------------------------------------------------------------------------------- */

/* Adds to a count; the agent shows it as a rate.  Negative numbers count down. */
SONDE_API void sonde_statsd_count(sonde_statsd *s, const char *name, int64_t n, const char *tags);

/* What something is now.  The last value of an interval counts. */
SONDE_API void sonde_statsd_gauge(sonde_statsd *s, const char *name, double value,
                                  const char *tags);

/* A value of which the agent shows average, median, maximum, count and 95th percentile of this host. */
SONDE_API void sonde_statsd_histogram(sonde_statsd *s, const char *name, double value,
                                      const char *tags);

/* A value whose percentiles are exact over all hosts. */
SONDE_API void sonde_statsd_distribution(sonde_statsd *s, const char *name, double value,
                                         const char *tags);

/* A histogram of milliseconds. */
SONDE_API void sonde_statsd_timing(sonde_statsd *s, const char *name, double ms, const char *tags);

/* The agent shows how many different members there were.  '|' and control bytes in it become '_'. */
SONDE_API void sonde_statsd_set(sonde_statsd *s, const char *name, const char *member,
                                const char *tags);

typedef enum sonde_statsd_type {
    SONDE_STATSD_COUNT,
    SONDE_STATSD_GAUGE,
    SONDE_STATSD_HISTOGRAM,
    SONDE_STATSD_DISTRIBUTION,
    SONDE_STATSD_TIMING,
    SONDE_STATSD_SET,
    SONDE_STATSD_TYPES
} sonde_statsd_type;

/* Everything one metric can have. */
typedef struct sonde_statsd_metric {
    uint32_t struct_bytes; /* sizeof(sonde_statsd_metric); 0: all fields of this header */
    int32_t type;          /* sonde_statsd_type */
    const char *name;
    const char *tags;
    const char *member;   /* of a set */
    const double *values; /* NULL: `value`; several only of histograms, distributions, timings */
    size_t values_len;    /* at most 65 536 */
    double value;         /* finite, as those of `values` */
    double rate;          /* 0 to 1: part of the calls to send, by chance, with that rate on the
                                line; default (0): all.  Counts that are collected are exact without,
                                gauges and sets have none: it is not looked at then */
    int64_t unix_s;       /* of a count or gauge: its time, sent at once as it is and not summed by
                                anybody (agents from 7.40); default (0): now */
    const char *cardinality; /* default: the client's */
} sonde_statsd_metric;

/* One metric with all of that. */
SONDE_API void sonde_statsd_send(sonde_statsd *s, const sonde_statsd_metric *metric);

/* -- events, service checks ----------------------------------------------------------------------- */

typedef struct sonde_statsd_event {
    uint32_t struct_bytes; /* sizeof(sonde_statsd_event); 0: all fields of this header */
    uint32_t unused;
    const char *title;           /* needed */
    const char *text;            /* Datadog cuts it at 4 000 characters; lines may end in LF */
    int64_t unix_s;              /* default (0): when the agent gets it */
    const char *host;            /* default: the agent's */
    const char *aggregation_key; /* events with the same one are shown together */
    const char *priority;        /* "normal" (default), "low" */
    const char *source_type;
    const char *alert_type; /* "error", "warning", "info" (default), "success" */
    const char *tags;
    const char *cardinality;
} sonde_statsd_event;

/* Something that happened.  One that does not fit into a datagram is dropped
 * (SONDE_STATSD_DROP_TOO_BIG). */
SONDE_API void sonde_statsd_send_event(sonde_statsd *s, const sonde_statsd_event *event);

typedef enum sonde_statsd_state {
    SONDE_STATSD_OK,
    SONDE_STATSD_WARNING,
    SONDE_STATSD_CRITICAL,
    SONDE_STATSD_UNKNOWN
} sonde_statsd_state;

typedef struct sonde_statsd_check {
    uint32_t struct_bytes; /* sizeof(sonde_statsd_check); 0: all fields of this header */
    int32_t state;         /* sonde_statsd_state; another number is refused */
    const char *name;      /* needed */
    const char *message;
    int64_t unix_s;   /* default (0): when the agent gets it */
    const char *host; /* default: the agent's */
    const char *tags;
    const char *cardinality;
} sonde_statsd_check;

/* How something is that the program knows about: itself, a data base. */
SONDE_API void sonde_statsd_send_check(sonde_statsd *s, const sonde_statsd_check *check);

/* -- sending, counters ---------------------------------------------------------------------------- */

/* Sends everything collected, waiting up to `timeout_ms` for room in the receiver; 0 waits for nothing.
 *
 * Returns   SONDE_OK when all of it went out; SONDE_ERR_CONNECT or SONDE_ERR_TIMEOUT when some was
 *           dropped; SONDE_ERR_INVALID for NULL. */
SONDE_API sonde_status sonde_statsd_flush(sonde_statsd *s, uint32_t timeout_ms);

/* Why a line was lost. */
/* clang-format off */
#define SONDE_STATSD_DROP_MAP(X)                                                                  \
    X(TOO_BIG,     "too_big")     /* above max_datagram_bytes, or above what the socket takes */  \
    X(QUEUE_FULL,  "queue_full")  /* 64 KiB wait to be sent */                                    \
    X(SOCKET_FULL, "socket_full") /* the receiver does not read as fast */                        \
    X(UNREACHABLE, "unreachable") /* nobody listens there */
/* clang-format on */

enum sonde_statsd_drop {
#define X(name, text) SONDE_STATSD_DROP_##name,
    SONDE_STATSD_DROP_MAP(X)
#undef X
        SONDE_STATSD_DROPS
};

#define SONDE_STATSD_DROPS_ROOM 8 /* array size, so that reasons can be added */

/* Exact once the threads pause:
 *
 *   lines == lines_sent + sum of lines_dropped[] + lines_queued
 *
 * Of datagrams over UDP `sent` means that the kernel took them.  0 at first, and in a forked child. */
typedef struct sonde_statsd_counters {
    uint32_t struct_bytes; /* set by the caller: sizeof(sonde_statsd_counters) */
    uint32_t drops;        /* set by the library: reasons it knows */
    uint64_t metrics;      /* calls, events and checks among them, less the next two */
    uint64_t refused; /* no name, a value that is not finite, no member, an unknown type or state */
    uint64_t sampled_out;      /* not to be sent by their rate */
    uint64_t contexts;         /* held now */
    uint64_t contexts_refused; /* metrics that found no place and became lines of their own */
    uint64_t lines;
    uint64_t lines_queued;
    uint64_t lines_sent;
    uint64_t lines_dropped[SONDE_STATSD_DROPS_ROOM]; /* by enum sonde_statsd_drop */
    uint64_t datagrams_sent;
    uint64_t datagrams_dropped;
    uint64_t bytes_sent;
    uint64_t connects; /* sockets opened successfully */
} sonde_statsd_counters;

/* Fills `out` up to out->struct_bytes; a struct_bytes of 0 counts as the size in this header. */
SONDE_API void sonde_statsd_counters_read(sonde_statsd *s, sonde_statsd_counters *out);

/* "socket_full" for SONDE_STATSD_DROP_SOCKET_FULL; "unknown" for an unknown number.  Static storage. */
SONDE_API const char *sonde_statsd_drop_name(uint32_t drop);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_STATSD_H */
