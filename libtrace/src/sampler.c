/* sampler.c - the hash, and what a segment without a received priority is decided by.
 *
 * With rules in force, the segment keeps the set of conditions its local root satisfies.  The thread that
 * works on the root adds to it and decides again whenever something changes that a rule asks for, so that
 * an injection, on whatever thread, finds the decision that holds at that moment. */
#include "sampler.h"

#include <stdio.h>
#include <string.h>

#include "fast_clock.h"
#include "policy.h"
#include "span.h"
#include "standalone.h"

bool sonde__sampler_keeps(uint64_t id, double rate)
{
    if (rate >= 1)
        return true;
    if (!(rate > 0))
        return false;
    return sonde__sampler_hash(id) <= (uint64_t)(rate * (double)UINT64_MAX);
}

/* -- one decision --------------------------------------------------------------------------------- */

static sonde__decision by_agent(uint64_t trace_id_low, sonde__service service)
{
    double rate;

    if (!sonde__service_rate(service, &rate))
        return sonde__decision_make(SONDE__AUTO_KEEP, SONDE__BY_DEFAULT, 1, 0);
    return sonde__decision_make(sonde__sampler_keeps(trace_id_low, rate) ? SONDE__AUTO_KEEP
                                                                         : SONDE__AUTO_DROP,
                                SONDE__BY_AGENT_RATE, rate, 0);
}

/* Asks once for a segment, however often it is decided. */
static bool passes_limit(sonde__policy *p, sonde__segment *s)
{
    uint32_t was =
        atomic_fetch_or_explicit(&s->flags, SONDE__SEGMENT_LIMIT_ASKED, memory_order_relaxed);
    bool passed;

    if (was & SONDE__SEGMENT_LIMIT_ASKED)
        return (was & SONDE__SEGMENT_LIMIT_PASSED) != 0;
    passed = sonde_limiter_pass(&p->limiter, sonde__now_mono_ns());
    atomic_store_explicit(
        &s->limit_ratio,
        (uint32_t)(sonde_limiter_ratio(&p->limiter) * SONDE__LIMIT_RATIO_UNIT + 0.5),
        memory_order_relaxed);
    if (passed)
        atomic_fetch_or_explicit(&s->flags, SONDE__SEGMENT_LIMIT_PASSED, memory_order_relaxed);
    return passed;
}

static sonde__decision by_rule(sonde__policy *p, const sonde__rule *rule, sonde__segment *s)
{
    bool keep = sonde__sampler_keeps(s->trace_id_low, rule->rate) && passes_limit(p, s);

    return sonde__decision_make(keep ? SONDE__USER_KEEP : SONDE__USER_DROP, rule->mechanism,
                                rule->rate, 0);
}

static sonde__decision by_policy(sonde__policy *p, sonde__segment *s, sonde__service service)
{
    const sonde__rule *rule = sonde__rules_first(&p->rules, &s->known);

    return rule ? by_rule(p, rule, s) : by_agent(s->trace_id_low, service);
}

static inline bool is_locked(const sonde__segment *s)
{
    return (atomic_load_explicit(&s->decision, memory_order_relaxed) & SONDE__DECISION_LOCKED) != 0;
}

static void settle(sonde__segment *s, sonde__decision now)
{
    sonde__decision was = atomic_load_explicit(&s->decision, memory_order_relaxed);

    while (!(was & SONDE__DECISION_LOCKED) &&
           !atomic_compare_exchange_weak_explicit(&s->decision, &was, now, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

/* -- the local root ------------------------------------------------------------------------------- */

static void note(const sonde__policy *p, sonde__segment *s, enum sonde__subject subject,
                 sonde_str text)
{
    sonde__rules_note(&p->rules, subject, (sonde_str){ NULL, 0 }, text, &s->known);
}

static __attribute__((noinline)) bool begin_with_rules(sonde__area *a, sonde__span *root,
                                                       sonde_str name, const char *resource)
{
    sonde__segment *s = root->segment;
    sonde__policy *p = sonde__policy_enter(a);
    bool named = resource && *resource;

    if (!p)
        return false;
    s->known = p->rules.always;
    s->policy_id = p->id;
    note(p, s, SONDE__RULE_SERVICE, sonde__service_name(root->service));
    note(p, s, SONDE__RULE_NAME, name);
    note(p, s, SONDE__RULE_RESOURCE, named ? sonde_str_from(resource) : name);
    root->flags |= SONDE__SPAN_WATCHED;
    if (named)
        root->flags |= SONDE__SPAN_OWN_RESOURCE;
    settle(s, by_policy(p, s, root->service));
    sonde__policy_leave(a);
    return true;
}

void sonde__root_begins(sonde__area *a, sonde__span *root, sonde_str name, const char *resource)
{
    sonde__segment *s = root->segment;

    if (is_locked(s))
        return;
    if (__builtin_expect(sonde__is_standalone(), 0)) {
        settle(s, sonde__standalone_decide(s, sonde__now_mono_ns()));
        return;
    }
    if (__builtin_expect(atomic_load_explicit(&sonde__policy_now, memory_order_relaxed) != NULL,
                         0) &&
        begin_with_rules(a, root, name, resource))
        return;
    settle(s, by_agent(s->trace_id_low, root->service));
}

/* The span's name as its text has it. */
static sonde_str name_of(const sonde__span *span, char room[SONDE__NAME_MAX_BYTES])
{
    sonde__text_cursor c = sonde__text_read(&span->text, span, SONDE__SPAN_BYTES);
    sonde_str name = { room, 0 };
    sonde__record r;

    while (sonde__text_next(&c, &r)) {
        if (r.kind != SONDE__TEXT_NAME || r.value_len > SONDE__NAME_MAX_BYTES)
            continue;
        sonde__text_copy(&r, room);
        name.len = r.value_len;
    }
    return name;
}

static void note_name(const sonde__policy *p, sonde__span *root, sonde_str name)
{
    note(p, root->segment, SONDE__RULE_NAME, name);
    if (!(root->flags & SONDE__SPAN_OWN_RESOURCE))
        note(p, root->segment, SONDE__RULE_RESOURCE, name);
}

/* An empty resource is the name. */
static void note_resource(const sonde__policy *p, sonde__span *root, sonde_str resource)
{
    char room[SONDE__NAME_MAX_BYTES];

    root->flags &= (uint16_t)~SONDE__SPAN_OWN_RESOURCE;
    if (resource.len > 0)
        root->flags |= SONDE__SPAN_OWN_RESOURCE;
    else
        resource = name_of(root, room);
    note(p, root->segment, SONDE__RULE_RESOURCE, resource);
}

static void note_change(const sonde__policy *p, sonde__span *root, unsigned kind, sonde_str key,
                        sonde_str value)
{
    sonde__bits *known = &root->segment->known;
    double number;

    switch (kind) {
    case SONDE__TEXT_STR:
        sonde__rules_note(&p->rules, SONDE__RULE_TAG, key, value, known);
        break;
    case SONDE__TEXT_NUMBER:
        memcpy(&number, value.ptr, sizeof(number));
        sonde__rules_note_number(&p->rules, key, number, known);
        break;
    case SONDE__TEXT_GONE:
        sonde__rules_note_gone(&p->rules, key, known);
        break;
    case SONDE__TEXT_NAME:
        note_name(p, root, value);
        break;
    case SONDE__TEXT_RESOURCE:
        note_resource(p, root, value);
        break;
    default:
        break;
    }
}

void sonde__root_changes(sonde__area *a, sonde__span *root, unsigned kind, sonde_str key,
                         sonde_str value)
{
    sonde__segment *s = root->segment;
    sonde__bits was = s->known;
    sonde__policy *p = is_locked(s) ? NULL : sonde__policy_enter(a);

    if (!p)
        return;
    if (p->id == s->policy_id) {
        note_change(p, root, kind, key, value);
        if (memcmp(&was, &s->known, sizeof(was)) != 0)
            settle(s, by_policy(p, s, root->service));
    }
    sonde__policy_leave(a);
}

void sonde__root_moves(sonde__area *a, sonde__span *root)
{
    sonde__segment *s = root->segment;
    sonde__policy *p;

    if (is_locked(s) || atomic_load_explicit(&s->local_root_id, memory_order_relaxed) != root->id)
        return;
    p = root->flags & SONDE__SPAN_WATCHED ? sonde__policy_enter(a) : NULL;
    if (p && p->id == s->policy_id) {
        note(p, s, SONDE__RULE_SERVICE, sonde__service_name(root->service));
        settle(s, by_policy(p, s, root->service));
    } else if (!(root->flags & SONDE__SPAN_WATCHED)) {
        settle(s, by_agent(s->trace_id_low, root->service));
    }
    if (p)
        sonde__policy_leave(a);
}

void sonde__segment_decide_without_root(sonde__segment *s)
{
    settle(s, sonde__is_standalone() ? sonde__standalone_decide(s, sonde__now_mono_ns())
                                     : by_agent(s->trace_id_low, 0));
}

/* -- what holds ----------------------------------------------------------------------------------- */

sonde__decision sonde__segment_lock(sonde__segment *s)
{
    sonde__decision d = atomic_load_explicit(&s->decision, memory_order_relaxed);

    if (!(d & SONDE__DECISION_LOCKED))
        d = atomic_fetch_or_explicit(&s->decision, SONDE__DECISION_LOCKED, memory_order_relaxed);
    return d | SONDE__DECISION_LOCKED;
}

sonde__decision sonde__segment_lock_here(sonde__segment *s)
{
    sonde__decision d = sonde__segment_lock(s);

    if (!(atomic_load_explicit(&s->flags, memory_order_relaxed) & SONDE__SEGMENT_TAIL_KEPT) ||
        (d & SONDE__DECISION_MANUAL))
        return d;
    return sonde__decision_make(SONDE__USER_KEEP, SONDE__BY_DEFAULT, 0,
                                SONDE__DECISION_LOCKED | SONDE__DECISION_TAIL);
}

bool sonde__segment_limit_ratio(const sonde__segment *s, double *out)
{
    uint32_t flags = atomic_load_explicit(&s->flags, memory_order_relaxed);

    *out = (double)atomic_load_explicit(&s->limit_ratio, memory_order_relaxed) /
           SONDE__LIMIT_RATIO_UNIT;
    return (flags & SONDE__SEGMENT_LIMIT_ASKED) != 0;
}

void sonde__segment_decide_by_hand(sonde__segment *s, enum sonde__priority priority,
                                   unsigned mechanism)
{
    sonde__decision now = sonde__decision_make(priority, mechanism, 0,
                                               SONDE__DECISION_LOCKED | SONDE__DECISION_MANUAL);

    atomic_store_explicit(&s->decision, now, memory_order_relaxed);
}

size_t sonde__format_rate(double rate, char out[16])
{
    uint64_t millionths = rate >= 1 ? 1000000 : (uint64_t)(rate * 1e6 + 0.5);
    int len;

    if (millionths % 1000000 == 0)
        len = snprintf(out, 16, "%u", (unsigned)(millionths / 1000000));
    else
        len = snprintf(out, 16, "0.%06u", (unsigned)millionths);
    while (millionths % 1000000 != 0 && out[len - 1] == '0')
        len--;
    return (size_t)len;
}
