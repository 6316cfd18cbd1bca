/* sampling.c - configuration keys to the sampler's options. */
#include "sampling.h"

#include "base/log.h"
#include "base/parse.h"

/* Cuts "=rate" or ":rate" off; false: there is none from 0 to 1. */
static bool take_rate(sonde_str *item, double *out)
{
    size_t at = item->len;

    while (at > 0 && item->ptr[at - 1] != '=' && item->ptr[at - 1] != ':')
        at--;
    if (at == 0 ||
        sonde_parse_double(sonde_str_trim(sonde_str_sub(*item, at, item->len)), out) != SONDE_OK)
        return false;
    *item = sonde_str_sub(*item, 0, at - 1);
    return *out >= 0.0 && *out <= 1.0;
}

bool sampling_parse_event_rate(sonde_str item, event_rate *out)
{
    if (!take_rate(&item, &out->rate))
        return false;
    out->service = sonde_str_trim(sonde_str_cut(&item, '|'));
    out->operation = sonde_str_trim(item);
    return out->service.len > 0 && out->operation.len > 0;
}

/* "service=0.5" */
static bool parse_service_rate(sonde_str item, event_rate *out)
{
    if (!take_rate(&item, &out->rate))
        return false;
    out->service = sonde_str_trim(item);
    out->operation = (sonde_str){ NULL, 0 };
    return out->service.len > 0;
}

static size_t event_rates(const config_list *items, bool (*parse)(sonde_str item, event_rate *out),
                          const char *key, event_rate *rates)
{
    size_t i, len = 0;

    for (i = 0; i < items->len && len < EVENT_RATES_MAX; i++) {
        if (parse(items->items[i], &rates[len]))
            len++;
        else
            SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "%s: %s has no rate from 0 to 1, left out", key,
                             SONDE_LOG_QUOTE(items->items[i]));
    }
    return len;
}

void sampling_options(const agent_config *c, sampling_rates *rates, sampler_options *out)
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
                    .by_operation = rates->by_operation,
                    .by_operation_len =
                        event_rates(&c->analyzed_spans, sampling_parse_event_rate,
                                    "apm_config.analyzed_spans", rates->by_operation),
                    .by_service = rates->by_service,
                    .by_service_len =
                        event_rates(&c->analyzed_services, parse_service_rate,
                                    "apm_config.analyzed_rate_by_service", rates->by_service) },
        .catalog_max = (size_t)c->catalog_entries,
    };
}
