/* telemetry.h - what the library tells the agent about itself: that it lives, how it is set up, how it fares.
 *
 *            app-started taken                       stop
 *   UNTOLD ────────────────────▶ TOLD ─────────────────────────▶ app-closing
 *    │  ▲                         │ ▲
 *    └──┘ again after the         └─┘ a request whenever something is due
 *         heartbeat's interval,
 *         5 s at most
 *
 * A beat (beats.h).  What a request that fails carried is told by the next one, but for signs of life.
 *
 * Threads   the functions here: the flusher's, from beats, unless they say otherwise.
 * Bounds    telemetry_request.h, _metrics.h, _logs.h, _libraries.h, _integrations.h, SONDE__TELEMETRY_CHANGES_MAX.
 * Source    docs/spec/telemetry.md */
#ifndef SONDE_LIBTRACE_TELEMETRY_H
#define SONDE_LIBTRACE_TELEMETRY_H

#include "beats.h"
#include "telemetry_config.h"

#define SONDE__TELEMETRY_CHANGES_MAX (256u << 10) /* bytes of changes not told yet */

extern const sonde__beat sonde__telemetry_beat;

/* A start begins: its warnings count.  And it is done, after `init_ns`, with this configuration. */
void sonde__telemetry_listen(void);
void sonde__telemetry_open(const sonde__config *c, uint64_t init_ns);

/* A setting has another value from now on, or its local one again (then with the local origin): tells it
 * soon, as app-client-configuration-change.  What does not fit until then is counted (telemetry_dropped). */
void sonde__telemetry_changed(const sonde__telemetry_entry *entry);

#endif /* SONDE_LIBTRACE_TELEMETRY_H */
