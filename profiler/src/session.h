/* session.h - a conversation with our agent: windows made into batches, and what the agent answers.
 *
 * Threads   none: the drainer.
 * Source    docs/spec/profile-batch.md */
#ifndef SONDE_PROFILER_SESSION_H
#define SONDE_PROFILER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "dict.h"
#include "identity.h"
#include "link.h"
#include "living.h"
#include "outbox.h"
#include "spb.h"
#include "window.h"

typedef struct sonde_prof__session {
    uint8_t id[SONDE_PROF__SESSION_BYTES];
    uint8_t prev[SONDE_PROF__SESSION_BYTES];
    bool has_prev;
    bool is_known; /* the agent has taken a batch: it knows who we are */
    uint64_t next_seq;
    uint64_t told[SONDE_PROF__KINDS]; /* intervals the agent was told */
    sonde_prof__outbox outbox;
    sonde_buf body;
    uint64_t next_try_ns; /* monotonic */
    uint64_t pause_ns;    /* of the back-off; 0: the agent is well */
    uint64_t resyncs;
} sonde_prof__session;

void sonde_prof__session_init(sonde_prof__session *s);
void sonde_prof__session_done(sonde_prof__session *s);

/* What goes into a batch beside dictionary and window. */
typedef struct sonde_prof__batch_facts {
    sonde_prof__span_of_time time;
    const sonde_prof__endpoint *endpoints;
    uint32_t endpoints_len;
    const sonde_prof__stats *stats;
    sonde_prof__living *living; /* NULL: no live heap */
    uint64_t now_mono_ns;
} sonde_prof__batch_facts;

/* The window becomes a batch in the outbox; the dictionary's marks move on. */
void sonde_prof__session_close(sonde_prof__session *s, sonde_prof__dict *d,
                               const sonde_prof__window *w, const sonde_prof__batch_facts *facts);

/* The dictionary begins anew, under a new id.  Nothing may refer to the old one but what waits in the outbox. */
void sonde_prof__session_roll_over(sonde_prof__session *s);

typedef enum sonde_prof__sending {
    SONDE_PROF__SENT_ALL,       /* the outbox is empty */
    SONDE_PROF__SENT_LATER,     /* what is left waits for next_try_ns */
    SONDE_PROF__SENT_NEVER,     /* the agent does not take batches */
    SONDE_PROF__SENT_UNSAYABLE, /* the dictionary is too big: it has to begin anew */
} sonde_prof__sending;

/* Posts what waits, one batch after the other. */
sonde_prof__sending sonde_prof__session_send(sonde_prof__session *s, sonde_prof__link *link,
                                             const sonde_prof__identity *who, sonde_prof__dict *d,
                                             uint64_t deadline_mono_ns);

/* Back-off, as a factor of the batch interval: 1, 2, 4, 6. */
uint64_t sonde_prof__session_interval_ns(const sonde_prof__session *s, uint64_t interval_ns);

#endif /* SONDE_PROFILER_SESSION_H */
