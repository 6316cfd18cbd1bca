/* agent/main/sampling.h - the sampler's options, from the configuration. */
#ifndef SONDE_AGENT_MAIN_SAMPLING_H
#define SONDE_AGENT_MAIN_SAMPLING_H

#include "agent/config/config.h"
#include "agent/sampler/sampler.h"

/* All but agent_env and rates.  `rates` (of EVENT_RATES_MAX) is filled and pointed to; an item of
 * `analyzed_spans` that cannot be used costs a log line. */
void sampling_options(const agent_config *c, event_rate *rates, sampler_options *out);

/* "service|operation=0.5".  False: not in this form, or no rate from 0 to 1. */
bool sampling_parse_event_rate(sonde_str item, event_rate *out);

#endif /* SONDE_AGENT_MAIN_SAMPLING_H */
