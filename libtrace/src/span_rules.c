/* span_rules.c - what is known about a span that was finished, and the rule that keeps it. */
#include "span_rules.h"

#include <string.h>

#include "base/alloc.h"

#include "policy.h"
#include "sampler.h"

sonde_status sonde__span_rules_open(const sonde__config *c, sonde__rules **out)
{
    sonde__rules *r;

    *out = NULL;
    if (c->span_rules.len == 0 && c->span_rules_file.len == 0)
        return SONDE_OK;
    r = (sonde__rules *)sonde_malloc(sizeof(*r));
    if (!r)
        return SONDE_ERR_NOMEM;
    sonde__rules_init(r);
    sonde__rules_add_configured(r, "DD_SPAN_SAMPLING_RULES", c->span_rules,
                                "DD_SPAN_SAMPLING_RULES_FILE", c->span_rules_file);
    sonde__rules_know_config(r, c, c->tags, c->tags_len);
    *out = r;
    return SONDE_OK;
}

void sonde__span_rules_close(sonde__rules *r)
{
    if (r)
        sonde__rules_done(r);
    sonde_free(r);
}

/* The text in one piece; where memory runs out, its first piece. */
static sonde_str whole(const sonde__record *r, sonde_buf *scratch)
{
    uint8_t *to;

    if (!r || r->rest == 0)
        return r ? sonde__record_head(r) : (sonde_str){ "", 0 };
    sonde_buf_reset(scratch);
    to = sonde_buf_reserve(scratch, r->value_len);
    if (!to)
        return sonde__record_head(r);
    sonde__text_copy(r, (char *)to);
    return (sonde_str){ (const char *)to, r->value_len };
}

static void note_tag(const sonde__rules *r, const sonde__record *tag, sonde_buf *scratch,
                     sonde__bits *known)
{
    sonde_str key = sonde__record_key(tag);
    double number;

    if (!sonde__rules_ask_for(r, key))
        return;
    if (tag->kind == SONDE__TEXT_STR) {
        sonde__rules_note(r, SONDE__RULE_TAG, key, whole(tag, scratch), known);
    } else if (tag->kind == SONDE__TEXT_NUMBER) {
        memcpy(&number, tag->value, sizeof(number));
        sonde__rules_note_number(r, key, number, known);
    } else if (tag->kind == SONDE__TEXT_GONE) {
        sonde__rules_note_gone(r, key, known);
    }
}

static void note_all(const sonde__rules *r, const sonde__span_facts *f, sonde_buf *scratch,
                     sonde__bits *known)
{
    const sonde__record *resource =
        f->resource && f->resource->value_len > 0 ? f->resource : f->name;
    sonde_str none = { NULL, 0 };
    uint32_t i;

    sonde__rules_note(r, SONDE__RULE_SERVICE, none, f->service, known);
    sonde__rules_note(r, SONDE__RULE_NAME, none, whole(f->name, scratch), known);
    sonde__rules_note(r, SONDE__RULE_RESOURCE, none, whole(resource, scratch), known);
    for (i = 0; i < f->tags_len; i++)
        note_tag(r, &f->tags[i], scratch, known);
}

const sonde__rule *sonde__span_rules_pick(sonde__rules *r, const sonde__span_facts *facts,
                                          sonde_buf *scratch, uint64_t now_mono_ns)
{
    sonde__bits known = r->always;
    sonde__rule *rule;

    note_all(r, facts, scratch, &known);
    rule = sonde__rules_first(r, &known);
    if (!rule || !sonde__sampler_keeps(facts->id, rule->rate) ||
        !sonde_limiter_pass(&rule->limiter, now_mono_ns))
        return NULL;
    return rule;
}
