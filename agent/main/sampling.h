/* agent/main/sampling.h - the sampler's options, from the configuration. */
#ifndef SONDE_AGENT_MAIN_SAMPLING_H
#define SONDE_AGENT_MAIN_SAMPLING_H

#include "agent/config/config.h"
#include "agent/sampler/sampler.h"

/* What the options point to. */
typedef struct sampling_rates {
    event_rate by_operation[EVENT_RATES_MAX];
    event_rate by_service[EVENT_RATES_MAX];
} sampling_rates;

/* All but agent_env and rates.  `rates` is filled and pointed to; an item of `analyzed_spans` or
 * `analyzed_rate_by_service` that cannot be used costs a log line. */
void sampling_options(const agent_config *c, sampling_rates *rates, sampler_options *out);

/* "service|operation=0.5", as in a variable, or with a colon, as a map of the file becomes.  False: not in this
 * form, or no rate from 0 to 1. */
bool sampling_parse_event_rate(sonde_str item, event_rate *out);

#endif /* SONDE_AGENT_MAIN_SAMPLING_H */
