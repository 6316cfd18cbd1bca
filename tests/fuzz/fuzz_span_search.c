/* fuzz_span_search - any text is a search or an error with a place inside the text; and what a summary of
 * one span claims (every span matches, none does) is what matching that span says. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dashboards/query/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static model_attr attrs[] = {
    { .key = { "k", 1 }, .text = { "v", 1 }, .kind = MODEL_ATTR_META },
    { .key = { "n", 1 }, .number = 500, .kind = MODEL_ATTR_METRIC },
};
static const uint32_t refs[] = { 0, 1 };
static const model_source source = { .env = { "prod", 4 } };
static const model_chunk chunk = { .trace_lo = 7, .source = &source };
static const model_span span = {
    .span_id = 1,
    .start_unix_ns = 1000,
    .duration_ns = 500,
    .attrs = refs,
    .attrs_len = 2,
    .service = { "web", 3 },
    .name = { "op", 2 },
    .resource = { "GET /", 5 },
    .type = { "web", 3 },
    .chunk = &chunk,
};
static const frame_view view = { .attrs = attrs, .attrs_len = 2 };
static const frame_part part = {
    .trace_lo = 7,
    .start_unix_ns = 1000,
    .end_unix_ns = 1500,
    .spans = 1,
    .has_root = true,
    .service = { "web", 3 },
    .name = { "op", 2 },
    .resource = { "GET /", 5 },
    .type = { "web", 3 },
    .env = { "prod", 4 },
    .services = { "web", 3 },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t tokens[SEARCH_TOKENS_MAX];
    search_error error = { 0 };
    search s = { 0 };
    search_share share;
    bool matches;

    if (search_parse((sonde_str){ (const char *)data, size }, &s, &error) != SONDE_OK) {
        if (error.at > size || !memchr(error.message, 0, sizeof(error.message)))
            abort();
        return 0;
    }
    matches = search_matches(&s, &view, &span);
    share = search_share_of(&s, &part);
    if ((share == SEARCH_NONE && matches) || (share >= SEARCH_SOME && !matches))
        abort();
    if (search_tokens(&s, tokens) > SEARCH_TOKENS_MAX)
        abort();
    search_done(&s);
    return 0;
}
