/* crash_socket.h - gives the agent the black box.
 *
 *            /info names a socket          accepted
 *   AWAY ─────────────────────▶ ASKING ───────────────▶ CONNECTED
 *    ▲                            │ no answer in 1 s        │ hung up
 *    └────────────────────────────┴─────────────────────────┘
 *
 * A beat of the background thread, which never waits here: it connects, sends HELLO with the descriptor,
 * looks for the answer again and again, and once a second from then on whether the agent is still there.
 * While AWAY it is woken by the next answer to /info only.  What the agent refuses for good is not offered
 * again in this life of the tracer.
 *
 * Threads   the background thread, under the lock of beats.h.
 * Source    docs/spec/black-box.md, "The crash socket" */
#ifndef SONDE_LIBTRACE_CRASH_SOCKET_H
#define SONDE_LIBTRACE_CRASH_SOCKET_H

#include "beats.h"

extern const sonde__beat sonde__crash_socket_beat;

/* The agent has answered /info. */
void sonde__crash_socket_agent_seen(void);

#endif /* SONDE_LIBTRACE_CRASH_SOCKET_H */
