/* answers.c - what tracers are told: rates, OK, refusals, errors.
 *
 * Source   docs/spec/receiver.md, "Answers".
 */
#include "internal.h"

#include "vocab/headers.h"

void answer_ok(http_response *response)
{
    response->static_body = SONDE_STR("OK\n");
}

static void rates_body(receiver *r, http_response *response, const rates_snapshot *rates)
{
    response->content_type = "application/json";
    sonde_buf_append_str(&response->body, rates->body);
    timings_add(r->timings, TIMING_RATE_RESPONSE, rates->body.len);
}

void answer_rates(receiver *r, http_request *request, http_response *response)
{
    sonde_str known = http_request_header(request, SONDE_HDR_RATES_VERSION);
    rates_snapshot *rates = rates_cell_get(r->rates);
    const sonde_str version = sonde_str_from(rates->version);

    if (known.len)
        http_response_header(response, SONDE_HDR_RATES_VERSION, rates->version);
    if (known.len && sonde_str_eq(known, version)) {
        response->content_type = "application/json";
        response->static_body = SONDE_STR("{}");
        timings_add(r->timings, TIMING_RATE_RESPONSE, response->static_body.len);
    } else {
        rates_body(r, response, rates);
    }
    rates_put(rates);
}

/* A whole answer that tracers accept, never a 5xx: with 200 they cannot tell that it was lost, so
 * those who ask for the real status get 429, and so does who sends statistics, or all if so configured. */
void answer_refused(receiver *r, const endpoint *e, http_request *request, http_response *response)
{
    bool real = e->answer == ANSWER_EMPTY || header_is_true(request, SONDE_HDR_REAL_STATUS) ||
                config_has_feature(r->config, "429");

    response->status = real ? 429 : 200;
    if (e->answer == ANSWER_RATES) {
        rates_snapshot *rates = rates_cell_get(r->rates);

        rates_body(r, response, rates);
        rates_put(rates);
    } else if (e->answer == ANSWER_OK) {
        answer_ok(response);
    }
}
