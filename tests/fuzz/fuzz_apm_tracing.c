/* fuzz_apm_tracing.c - one configuration of product APM_TRACING, twice in a merge.
 *
 * Property   never crashes; what is taken is within its ranges and ceilings, and its rules are such that
 *            rules.c reads them as a list; what is refused says why. */
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "libtrace/src/apm_tracing.h"
#include "libtrace/src/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static void check_values(const sonde__remote_values *v)
{
    sonde__rules rules;

    require(v->tracing_enabled >= -1 && v->tracing_enabled <= 1);
    require(v->log_injection >= -1 && v->log_injection <= 1);
    require(v->sample_rate == -1 || (v->sample_rate >= 0 && v->sample_rate <= 1));
    require(v->tags_len <= SONDE__DEFAULT_TAGS_MAX && (v->tags || v->tags_len == 0));
    require(v->header_tags.len <= SONDE__HEADER_TAGS_MAX_BYTES);
    if (!v->rules.ptr)
        return;
    sonde__rules_init(&rules);
    require(sonde__rules_add(&rules, "fuzz", v->rules) == SONDE_OK);
    sonde__rules_done(&rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[SONDE__APM_ERROR_ROOM] = "";
    sonde__apm_tracing each[2];
    sonde__remote_values v;
    sonde_arena texts;

    sonde_log_set_level(SONDE_LOG_OFF);
    sonde_arena_init(&texts, 1u << 22);
    if (sonde__apm_tracing_parse((sonde_str){ (const char *)data, size }, &texts, &each[0],
                                 error) == SONDE_OK) {
        each[1] = each[0];
        v = sonde__apm_tracing_merge(each, 2);
        check_values(&v);
    } else {
        require(error[0] != '\0');
    }
    sonde_arena_done(&texts);
    return 0;
}
