/* sampling.c - configuration keys to the sampler's options. */
#include "sampling.h"

#include "base/log.h"
#include "base/parse.h"

bool sampling_parse_event_rate(sonde_str item, event_rate *out)
{
    sonde_str service = sonde_str_cut(&item, '|'), operation = sonde_str_cut(&item, '=');

    out->service = sonde_str_trim(service);
    out->operation = sonde_str_trim(operation);
    return out->service.len > 0 && out->operation.len > 0 &&
           sonde_parse_double(sonde_str_trim(item), &out->rate) == SONDE_OK && out->rate >= 0.0 &&
           out->rate <= 1.0;
}

static size_t event_rates(const config_list *items, event_rate *rates)
{
    size_t i, len = 0;

    for (i = 0; i < items->len && len < EVENT_RATES_MAX; i++) {
        if (sampling_parse_event_rate(items->items[i], &rates[len]))
            len++;
        else
            SONDE_LOG_ALWAYS(
                SONDE_LOG_WARN,
                "apm_config.analyzed_spans: %s is not service|operation=rate, left out",
                SONDE_LOG_QUOTE(items->items[i]));
    }
    return len;
}

void sampling_options(const agent_config *c, event_rate *rates, sampler_options *out)
{
    *out = (sampler_options){
        .target_per_s = c->target_tps,
        .extra_sample_rate = c->extra_sample_rate,
        .errors_per_s = c->errors_tps,
        .errors_only = c->errors_only,
        .ask_after_tracer_drop = config_has_feature(c, "error_rare_sample_tracer_drop"),
        .probabilistic = { c->probabilistic_enabled, c->probabilistic_percentage,
                           (uint32_t)c->probabilistic_seed,
                           config_has_feature(c, "probabilistic_sampler_full_trace_id") },
        .rare = { c->rare_enabled, c->rare_tps, c->rare_cooldown_ns,
                  (uint32_t)c->rare_cardinality },
        .events = { .max_per_s = c->max_eps,
                    .by_operation = rates,
                    .by_operation_len = event_rates(&c->analyzed_spans, rates) },
    };
}
