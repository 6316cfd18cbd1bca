/* sender.h - what the background thread does: chunks to payloads, payloads, statistics and beats' requests to
 * the agent.  When it does so is flusher.h's.
 *
 * Threads   the flusher's, unless it says otherwise; open, close and drop_rest() while there is none.
 * Bounds    see flusher.h */
#ifndef SONDE_LIBTRACE_SENDER_H
#define SONDE_LIBTRACE_SENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "sonde/status.h"

SONDE_MUST_USE sonde_status sonde__sender_open(void); /* what is open already stays */
void sonde__sender_close(void);
void sonde__sender_begin(void); /* the thread begins */

/* Encodes what the threads have handed over; sends in between when a payload is full.  False: nothing. */
bool sonde__sender_gather(void);

/* Sends the payload when it is time, or in any case; statistics likewise.  True: a payload waits. */
bool sonde__sender_send_due(bool all, bool all_stats);

/* Does one beat that is due, or, when the life ends, lets all say their last words.  When the next is due. */
uint64_t sonde__sender_beat(bool ends);

bool sonde__sender_ask_agent(void);     /* for /info; true: we know what it can do */
bool sonde__sender_agent_changed(void); /* an answer since the last call said so */

void sonde__sender_drop_rest(void); /* of the queues: nobody will send it any more */

uint64_t sonde__sender_bytes(void); /* memory of the payload; any thread */

void sonde__sender_prefork(void);
void sonde__sender_postfork_parent(void);
void sonde__sender_postfork_child(void);

#endif /* SONDE_LIBTRACE_SENDER_H */
