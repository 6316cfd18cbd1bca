/* sonde/sonde.h - everything of libtrace in one include.
 *
 * The shortest right program:
 *
 *   sonde_start(NULL);
 *   { SONDE_SPAN(span, "work"); do_it(); }
 *   sonde_stop();
 *
 * With SONDE_DISABLE defined all of it is compiled out (<sonde/disable.h>).
 */
#ifndef SONDE_SONDE_H
#define SONDE_SONDE_H

#include "sonde/baggage.h"
#include "sonde/config.h"
#include "sonde/context.h"
#include "sonde/counters.h"
#include "sonde/event.h"
#include "sonde/export.h"
#include "sonde/http.h"
#include "sonde/integration.h"
#include "sonde/link.h"
#include "sonde/log.h"
#include "sonde/log_ids.h"
#include "sonde/propagate.h"
#include "sonde/remote.h"
#include "sonde/span.h"
#include "sonde/statsd.h"
#include "sonde/status.h"
#include "sonde/str.h"
#include "sonde/tracer.h"
#include "sonde/value.h"
#include "sonde/version.h"

#ifdef SONDE_DISABLE
#    include "sonde/disable.h"
#endif

#endif /* SONDE_SONDE_H */
