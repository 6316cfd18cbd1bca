/* remote_poll.h - the body of a poll for remote configuration, POST /v0.7/config.
 *
 * Threads   none.
 * Bounds    the buffer's ceiling.
 * Source    docs/spec/remote-config.md */
#ifndef SONDE_LIBTRACE_REMOTE_POLL_H
#define SONDE_LIBTRACE_REMOTE_POLL_H

#include "base/buf.h"
#include "config.h"
#include "remote_state.h"

/* Writes the body for the client `client_id` of this process into `out`; look at out->status. */
void sonde__remote_poll_write(const sonde__config *c, const char *client_id, const char *runtime_id,
                              const sonde__remote_state *s, sonde_buf *out);

#endif /* SONDE_LIBTRACE_REMOTE_POLL_H */
