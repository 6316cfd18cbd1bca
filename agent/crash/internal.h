/* internal.h - what the files of the room share: the crash socket's state, its connections and counters.
 *
 * Threads   the room's own one; counters: any thread may read. */
#ifndef SONDE_AGENT_CRASH_INTERNAL_H
#define SONDE_AGENT_CRASH_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

#include "crash/message.h"

#include "box.h"
#include "crash.h"
#include "ending.h"

#define CRASH_PATH_ROOM   108
#define CRASH_PACKET_ROOM (sizeof(sonde_crash_crash) + SONDE_CRASH_REPORT_MAX)

enum refusal {
    REFUSED_VERSION,
    REFUSED_SIZE,
    REFUSED_SEALS,
    REFUSED_TOO_MANY,
    REFUSED_PACKET,
    REFUSALS
};

/* reports_received == sum of these + those of processes that are dying */
enum report_fate {
    REPORT_SENT,
    REPORT_MALFORMED,
    REPORT_NO_MEMORY,
    REPORT_REPLACED, /* by one that says more of the same process */
    REPORT_SURVIVED, /* the process went on, or ended in order */
    REPORT_DROPPED,  /* beyond CRASH_DEATHS_PER_MINUTE */
    REPORT_REFUSED,  /* telemetry has no room, or nowhere to go */
    REPORT_FATES
};

typedef struct peer {
    size_t index; /* in crash.peers */
    int socket;   /* -1: hung up */
    int file;     /* the box; -1: none */
    int pidfd;
    pid_t pid;
    bool said_hello;
    bool over;                /* to be freed when the round is done */
    int signo;                /* of a CRASH packet; 0: none came */
    sonde_crash_case *report; /* NULL: none came, or none that can be read */
    uint64_t hung_up_mono_ns;
    ending_watch watch;
} peer;

typedef struct crash_counters {
    _Atomic uint64_t connections; /* now */
    _Atomic uint64_t refused[REFUSALS];
    _Atomic uint64_t deaths[BOX_CAUSES];
    _Atomic uint64_t ends_in_order;
    _Atomic uint64_t deaths_dropped; /* beyond CRASH_DEATHS_PER_MINUTE */
    _Atomic uint64_t detached;       /* hung up, and lived on */
    _Atomic uint64_t spans;          /* submitted */
    _Atomic uint64_t spans_unplaced; /* the process had no place for */
    _Atomic uint64_t torn;
    _Atomic uint64_t lost; /* boxes not read to the end, payloads not taken */
    _Atomic uint64_t reports_received;
    _Atomic uint64_t reports[REPORT_FATES];
} crash_counters;

struct crash {
    char path[CRASH_PATH_ROOM];
    payload_sink sink;
    sonde_crash_symbols symbols;
    void *telemetry;
    sonde_status (*push_telemetry)(void *telemetry, crash_request *request);
    int listener;
    int epoll;
    int wake; /* eventfd: stop */
    pthread_t thread;
    bool has_thread;
    peer *peers[CRASH_CONNECTIONS_MAX];
    size_t peers_len;
    int64_t minute; /* of the deaths below */
    unsigned deaths_this_minute;
    crash_counters counters;
    uint8_t packet[CRASH_PACKET_ROOM];
};

static inline void crash_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Closes what is open and forgets it. */
void crash_close_fd(int *fd);

/* `what` is a peer, or the address of `listener` or `wake`. */
bool crash_watch_fd(crash *c, int fd, void *what);

/* -- peers.c: connections, and what they say -------------------------------------------------------- */

void peer_accept_all(crash *c);

/* All that is there, up to the hang-up; `over` when it said what nobody asked for. */
void peer_read(crash *c, peer *p);

bool peer_has_ended(const peer *p); /* its process */
void peer_free(crash *c, peer *p);

/* -- death.c: what is submitted of a process that ended ---------------------------------------------- */

/* All connections of the peer's process are over then. */
void death_bury(crash *c, peer *p);

#endif /* SONDE_AGENT_CRASH_INTERNAL_H */
