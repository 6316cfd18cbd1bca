/* rare.c - kinds of spans by service, with the time until which each is not rare. */
#include "rare.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "vocab/tags.h"

#include "catalog.h"
#include "signature.h"

#define SERVICE_SLOTS (RARE_SERVICES_MAX * 2u)
#define KINDS_MIN     16u
#define BURST         50.0
/* A time is written again only when it moves by so much: most spans are seen many times a second. */
#define REFRESH_NS (INT64_C(60) * SONDE_NS_PER_S)

void rare_init(rare_sampler *r, const rare_options *options)
{
    *r = (rare_sampler){ .options = *options, .tokens = BURST };
    if (r->options.cardinality == 0 || r->options.cardinality > RARE_CARDINALITY_MAX)
        r->options.cardinality = RARE_CARDINALITY_MAX;
}

void rare_done(rare_sampler *r)
{
    uint32_t i;

    for (i = 0; r->services && i < SERVICE_SLOTS; i++)
        sonde_free(r->services[i].slots);
    sonde_free(r->services);
    r->services = NULL;
}

/* -- kinds of a service --------------------------------------------------------------------------- */

/* The place of a signature, or the free one where it would be. */
static rare_kind *place_of(rare_kind *slots, uint32_t slots_len, uint32_t signature)
{
    uint32_t at = signature & (slots_len - 1);

    while (slots[at].until_unix_ns != 0 && slots[at].signature != signature)
        at = (at + 1) & (slots_len - 1);
    return &slots[at];
}

/* Twice the places (at least KINDS_MIN), with every kind under `signature` or, shrunk, under its share. */
static bool rebuild(rare_sampler *r, rare_service *s, uint32_t slots_len)
{
    rare_kind *slots = sonde_calloc(slots_len, sizeof(*slots)), *to;
    uint32_t i, len = 0, signature;

    if (!slots)
        return false;
    for (i = 0; i < s->slots_len; i++) {
        if (s->slots[i].until_unix_ns == 0)
            continue;
        signature = s->slots[i].signature;
        if (s->shrunk)
            signature %= r->options.cardinality;
        to = place_of(slots, slots_len, signature);
        len += to->until_unix_ns == 0;
        to->signature = signature;
        if (to->until_unix_ns < s->slots[i].until_unix_ns)
            to->until_unix_ns = s->slots[i].until_unix_ns;
    }
    sonde_free(s->slots);
    s->slots = slots;
    s->slots_len = slots_len;
    s->kinds_len = len;
    return true;
}

static rare_kind *find_kind(rare_sampler *r, rare_service *s, const payload_span *span)
{
    uint32_t signature = span_signature(span, (sonde_str){ NULL, 0 }, true);

    if (s->shrunk)
        signature %= r->options.cardinality;
    if (s->kinds_len * 2 >= s->slots_len && !rebuild(r, s, s->slots_len * 2))
        return NULL;
    return place_of(s->slots, s->slots_len, signature);
}

static void set_until(rare_sampler *r, rare_service *s, rare_kind *kind, const payload_span *span,
                      int64_t until)
{
    if (kind->until_unix_ns != 0) {
        if (until - kind->until_unix_ns >= REFRESH_NS)
            kind->until_unix_ns = until;
        return;
    }
    kind->signature = span_signature(span, (sonde_str){ NULL, 0 }, true);
    if (s->shrunk)
        kind->signature %= r->options.cardinality;
    kind->until_unix_ns = until;
    s->kinds_len++;
    if (!s->shrunk && s->kinds_len > r->options.cardinality) {
        s->shrunk = true;
        r->shrinks++;
        (void)rebuild(r, s, s->slots_len); /* without memory the old signatures just run out */
    }
}

/* -- services ------------------------------------------------------------------------------------- */

static rare_service *find_service(rare_sampler *r, const payload_span *span, sonde_str env)
{
    uint32_t signature = catalog_signature(span->service, env), at = signature % SERVICE_SLOTS;
    rare_service *s;

    if (!r->services)
        r->services = sonde_calloc(SERVICE_SLOTS, sizeof(*r->services));
    if (!r->services)
        return NULL;
    while (r->services[at].slots_len != 0 && r->services[at].signature != signature)
        at = (at + 1) % SERVICE_SLOTS;
    s = &r->services[at];
    if (s->slots_len != 0)
        return s;
    if (r->services_len == RARE_SERVICES_MAX || !rebuild(r, s, KINDS_MIN))
        return NULL;
    s->signature = signature;
    r->services_len++;
    return s;
}

/* -- decision ------------------------------------------------------------------------------------- */

static bool take_token(rare_sampler *r, int64_t now)
{
    if (now > r->refilled_unix_ns) {
        double gone_s = (double)(now - r->refilled_unix_ns) / (double)SONDE_NS_PER_S;

        r->tokens += gone_s * r->options.tokens_per_s;
        if (r->tokens > BURST)
            r->tokens = BURST;
    }
    r->refilled_unix_ns = now; /* also when the clock was set back */
    if (r->tokens < 1.0)
        return false;
    r->tokens -= 1.0;
    return true;
}

static bool is_rare(rare_sampler *r, payload_span *span, sonde_str env, int64_t now)
{
    rare_service *s = find_service(r, span, env);
    rare_kind *kind = s ? find_kind(r, s, span) : NULL;

    if (!kind) {
        r->services_full++;
        return false;
    }
    if (kind->until_unix_ns != 0 && now <= kind->until_unix_ns)
        return false;
    if (take_token(r, now))
        return true;
    r->misses++;
    return false;
}

static bool counts(const payload_span *s)
{
    return span_is_top_level(s) || span_is_measured(s);
}

static void see_all(rare_sampler *r, payload_chunk *c, sonde_str env, int64_t until)
{
    uint32_t i;

    for (i = 0; i < c->spans_len; i++) {
        rare_service *s = counts(&c->spans[i]) ? find_service(r, &c->spans[i], env) : NULL;
        rare_kind *kind = s ? find_kind(r, s, &c->spans[i]) : NULL;

        if (kind)
            set_until(r, s, kind, &c->spans[i], until);
    }
}

bool rare_keeps(rare_sampler *r, payload_chunk *c, sonde_arena *arena, sonde_str env,
                int64_t now_unix_ns)
{
    uint32_t i;

    if (!r->options.enabled)
        return false;
    for (i = 0; i < c->spans_len; i++) {
        if (!counts(&c->spans[i]) || !is_rare(r, &c->spans[i], env, now_unix_ns))
            continue;
        r->unmarked +=
            span_metric_set(&c->spans[i], arena, SONDE_STR(SONDE_TAG_RARE), 1.0) != SONDE_OK;
        see_all(r, c, env, now_unix_ns + (int64_t)r->options.cooldown_ns);
        r->hits++;
        return true;
    }
    return false;
}
