/* service.h - the services of this process, each with the rate the agent wants for it.
 *
 * Spans name their service by a number: number 0 is the tracer's own.  So a child inherits it by copying
 * two bytes, and a root finds its sampling rate without a look-up.
 *
 * Threads   all.  Adding takes a mutex; reading by number does not.
 * Bounds    SONDE__SERVICES_MAX names; further ones become number 0, counter services_refused. */
#ifndef SONDE_LIBTRACE_SERVICE_H
#define SONDE_LIBTRACE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"

#define SONDE__SERVICES_MAX      1024
#define SONDE__SERVICE_MAX_BYTES 100

typedef uint16_t sonde__service; /* 0: the tracer's */

/* The tracer's service and env; rates are forgotten.  Numbers above 0 keep their meaning. */
SONDE_MUST_USE sonde_status sonde__services_open(sonde_str own, sonde_str env);

/* Before it: names to send as others, "from:to,..." (at most 4 KiB are kept).  A name that is known
 * already keeps its meaning until the mapping changes. */
void sonde__services_map(sonde_str mapping);

sonde__service sonde__service_number(sonde_str name); /* adds it when it is new; "" is 0 */
sonde_str sonde__service_name(sonde__service s);
bool sonde__service_is_mapped(sonde__service s); /* its name is not the one the program gave */
bool sonde__service_is_own(sonde__service s);    /* the tracer's name, in any case */

/* The rate to apply to a root of this service; false when the agent has not sent rates yet. */
bool sonde__service_rate(sonde__service s, double *out_rate);

/* Takes over an agent's answer {"rate_by_service":{"service:web,env:prod":0.5,...}}.  On failure
 * (SONDE_ERR_SYNTAX) the old rates stay; an answer without rates changes nothing. */
sonde_status sonde__service_rates_update(sonde_str json);

void sonde__services_prefork(void);
void sonde__services_postfork(void); /* parent and child */

#endif /* SONDE_LIBTRACE_SERVICE_H */
