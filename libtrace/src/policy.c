/* policy.c - putting a policy together, replacing it. */
#include "policy.h"

#include "base/alloc.h"
#include "base/mutex.h"
#include "vocab/tags.h"

#include "decision.h"

_Atomic(sonde__policy *) sonde__policy_now;

static sonde_mutex mu = SONDE_MUTEX_INIT(SONDE_RANK_POLICY);
static sonde__policy *replaced; /* guarded by mu: perhaps still in use */
static uint16_t last_id;        /* guarded by mu */

/* -- use ------------------------------------------------------------------------------------------ */

sonde__policy *sonde__policy_enter(sonde__area *a)
{
    sonde__policy *p = atomic_load_explicit(&sonde__policy_now, memory_order_acquire);
    sonde__policy *again;

    while (p) {
        /* Either free_unused() sees the announcement, or we see that the policy was replaced. */
        atomic_store_explicit(&a->policy, p, memory_order_seq_cst);
        again = atomic_load_explicit(&sonde__policy_now, memory_order_seq_cst);
        if (again == p)
            return p;
        p = again;
    }
    sonde__policy_leave(a);
    return NULL;
}

void sonde__policy_leave(sonde__area *a)
{
    /* pairs with is_used() */
    atomic_store_explicit(&a->policy, NULL, memory_order_release);
}

/* -- replacing ------------------------------------------------------------------------------------ */

static bool is_used(const sonde__policy *p)
{
    sonde__area *a = atomic_load_explicit(&sonde__areas, memory_order_acquire);

    for (; a; a = a->next)
        if (atomic_load_explicit(&a->policy, memory_order_seq_cst) == p)
            return true;
    return false;
}

static void free_policy(sonde__policy *p)
{
    if (p)
        sonde__rules_done(&p->rules);
    sonde_free(p);
}

static void free_unused_locked(void)
{
    sonde__policy **at = &replaced;

    while (*at) {
        sonde__policy *p = *at;

        if (is_used(p)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        free_policy(p);
    }
}

static void put_in_force(sonde__policy *p)
{
    sonde__policy *was;

    sonde_mutex_lock(&mu);
    if (p)
        p->id = ++last_id;
    was = atomic_exchange_explicit(&sonde__policy_now, p, memory_order_seq_cst);
    if (was) {
        was->next = replaced;
        replaced = was;
    }
    free_unused_locked();
    sonde_mutex_unlock(&mu);
}

/* -- making --------------------------------------------------------------------------------------- */

void sonde__rules_know_config(sonde__rules *r, const sonde__config *c, const sonde__tag *tags,
                              uint32_t tags_len)
{
    uint32_t i;

    r->always = (sonde__bits){ { 0 } };
    sonde__rules_know_tag(r, SONDE_STR(SONDE_TAG_LANGUAGE), c->language);
    if (c->env.len > 0)
        sonde__rules_know_tag(r, SONDE_STR(SONDE_TAG_ENV), c->env);
    if (c->version.len > 0)
        sonde__rules_know_tag(r, SONDE_STR(SONDE_TAG_VERSION), c->version);
    for (i = 0; i < tags_len; i++)
        sonde__rules_know_tag(r, tags[i].key, tags[i].value);
}

static bool matches_all(const sonde__rule *rule)
{
    return (rule->needs.word[0] | rule->needs.word[1]) == 0;
}

/* Remote rules, local ones, then a rate: what the remote rules leave has to get the remote rate, so that
 * takes the place of a last local rule for all. */
static sonde_status add_all(sonde__rules *r, const sonde__config *c, sonde_str remote, double rate)
{
    sonde_status status = SONDE_OK;
    uint32_t remote_len;

    if (remote.len > 0)
        status = sonde__rules_add(r, "remote configuration", remote);
    if (status != SONDE_OK)
        return status;
    remote_len = r->len;
    sonde__rules_add_configured(r, "DD_TRACE_SAMPLING_RULES", c->sampling_rules,
                                "DD_TRACE_SAMPLING_RULES_FILE", c->sampling_rules_file);
    if (rate >= 0 && remote_len > 0 && r->len > remote_len && matches_all(&r->rule[r->len - 1]))
        r->len--;
    if (rate >= 0 || c->sample_rate >= 0)
        sonde__rules_add_rate(r, rate >= 0 ? rate : c->sample_rate, SONDE__BY_RULE);
    return SONDE_OK;
}

static sonde_status replace(const sonde__config *c, sonde_str remote, double rate,
                            const sonde__tag *tags, uint32_t tags_len)
{
    sonde__policy *p = (sonde__policy *)sonde_malloc(sizeof(*p));
    sonde_status status;

    if (!p)
        return SONDE_ERR_NOMEM;
    sonde__rules_init(&p->rules);
    sonde_limiter_init(&p->limiter, c->rate_limit);
    status = add_all(&p->rules, c, remote, rate);
    sonde__rules_know_config(&p->rules, c, tags, tags_len);
    if (status != SONDE_OK || p->rules.len == 0) {
        free_policy(p);
        p = NULL;
    }
    if (status == SONDE_OK)
        put_in_force(p);
    return status;
}

sonde_status sonde__policy_open(const sonde__config *c)
{
    return replace(c, (sonde_str){ NULL, 0 }, -1, c->tags, c->tags_len);
}

sonde_status sonde__policy_set_remote(const sonde__config *c, sonde_str rules, double rate,
                                      const sonde__tag *tags, uint32_t tags_len)
{
    return replace(c, rules, rate, tags ? tags : c->tags, tags ? tags_len : c->tags_len);
}

/* -- fork ----------------------------------------------------------------------------------------- */

SONDE_NO_TSA void sonde__policy_prefork(void)
{
    sonde_mutex_lock(&mu);
}

SONDE_NO_TSA void sonde__policy_postfork_parent(void)
{
    sonde_mutex_unlock(&mu);
}

/* Threads that did not come along use nothing. */
SONDE_NO_TSA void sonde__policy_postfork_child(void)
{
    sonde__area *a = atomic_load_explicit(&sonde__areas, memory_order_acquire);

    for (; a; a = a->next)
        sonde__policy_leave(a);
    sonde_mutex_unlock(&mu);
}
