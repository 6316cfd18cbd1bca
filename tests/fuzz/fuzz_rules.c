/* fuzz_rules.c - sampling rules as JSON.
 *
 * Property   never crashes; a list stays within its ceilings and its rates within 0 to 1; a text that is
 *            refused leaves the list as it was. */
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "libtrace/src/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static void check_matching(sonde__rules *r, sonde_str text)
{
    sonde__bits known = r->always;
    const sonde__rule *rule;
    uint32_t i;

    sonde__rules_note(r, SONDE__RULE_SERVICE, (sonde_str){ NULL, 0 }, text, &known);
    for (i = 0; i < r->conditions_len; i++) {
        sonde__rules_note(r, SONDE__RULE_TAG, r->condition[i].key, text, &known);
        sonde__rules_note_number(r, r->condition[i].key, 0.5, &known);
    }
    rule = sonde__rules_first(r, &known);
    require(!rule || (rule->rate >= 0 && rule->rate <= 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str json = { (const char *)data, size };
    sonde__rules r;

    sonde_log_set_level(SONDE_LOG_OFF);
    sonde__rules_init(&r);
    if (sonde__rules_add(&r, "fuzz", json) != SONDE_OK)
        require(r.len == 0 && r.conditions_len == 0);
    require(r.len <= SONDE__RULES_MAX && r.conditions_len <= SONDE__CONDITIONS_MAX);
    check_matching(&r, json);
    sonde__rules_done(&r);
    return 0;
}
