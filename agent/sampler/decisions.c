/* decisions.c - an open hash table of tags. */
#include "decisions.h"

#include <stdio.h>
#include <string.h>

#include "agent/payload/payload.h"
#include "base/alloc.h"
#include "base/digest.h"

#define TAGS_MAX_BYTES 384

struct decision {
    decision_count count;
    uint32_t hash; /* of what follows */
    uint8_t who, priority;
    uint32_t service_len, env_len;
    char texts[]; /* service, env, then the tags with their zero byte */
};

typedef struct key {
    decider who;
    uint8_t priority;
    sonde_str service, env;
} key;

void decisions_done(decisions *d)
{
    for (size_t i = 0; i < DECISION_SLOTS; i++)
        sonde_free(d->slots[i]);
}

static uint32_t hash_of(const key *k)
{
    const unsigned char head[] = { (unsigned char)k->who, k->priority };
    uint32_t h = sonde_fnv1a32(SONDE_FNV1A32_INIT, head, sizeof(head));

    h = sonde_fnv1a32(h, k->service.ptr, k->service.len);
    h = sonde_fnv1a32(h, "", 1);
    return sonde_fnv1a32(h, k->env.ptr, k->env.len);
}

static bool is_key(const decision *x, const key *k, uint32_t hash)
{
    return x->hash == hash && x->who == k->who && x->priority == k->priority &&
           sonde_str_eq((sonde_str){ x->texts, x->service_len }, k->service) &&
           sonde_str_eq((sonde_str){ x->texts + x->service_len, x->env_len }, k->env);
}

static decision **slot_of(decisions *d, const key *k, uint32_t hash)
{
    size_t at = hash & (DECISION_SLOTS - 1);

    while (d->slots[at] && !is_key(d->slots[at], k, hash))
        at = (at + 1) & (DECISION_SLOTS - 1);
    return &d->slots[at];
}

static size_t put_tag(char *out, size_t at, const char *name, sonde_str value)
{
    int len;

    if (!value.len)
        return at;
    value.len = sonde_utf8_cut(value, DECISION_TEXT_MAX);
    len = snprintf(out + at, TAGS_MAX_BYTES - at, ",%s:%.*s", name, SONDE_STR_ARG(value));
    for (int i = 1; i < len; i++) /* what would end a tag, a line or a label */
        if ((unsigned char)out[at + (size_t)i] < ' ' || strchr("|,#\"\\", out[at + (size_t)i]))
            out[at + (size_t)i] = '_';
    return at + (size_t)len;
}

static size_t put_tags(const key *k, char out[TAGS_MAX_BYTES])
{
    static const char *const names[DECIDERS] = { "priority", "no_priority", "error", "rare",
                                                 "probabilistic" };
    static const char *const priorities[DECISION_PRIORITIES] = { "manual_drop", "auto_drop",
                                                                 "auto_keep", "manual_keep",
                                                                 "none" };
    size_t at = (size_t)snprintf(out, TAGS_MAX_BYTES, "sampler:%s,sampling_priority:%s",
                                 names[k->who], priorities[k->priority]);

    at = put_tag(out, at, "target_service", k->service);
    return put_tag(out, at, "target_env", k->env);
}

static decision *decision_new(const key *k, uint32_t hash)
{
    char tags[TAGS_MAX_BYTES];
    size_t len = put_tags(k, tags) + 1, before = k->service.len + k->env.len;
    decision *x = sonde_calloc(1, sizeof(*x) + before + len);

    if (!x)
        return NULL;
    x->hash = hash;
    x->who = (uint8_t)k->who;
    x->priority = k->priority;
    x->service_len = (uint32_t)k->service.len;
    x->env_len = (uint32_t)k->env.len;
    if (k->service.len)
        memcpy(x->texts, k->service.ptr, k->service.len);
    if (k->env.len)
        memcpy(x->texts + k->service.len, k->env.ptr, k->env.len);
    memcpy(x->texts + before, tags, len);
    x->count.tags = x->texts + before;
    return x;
}

static uint8_t priority_of(int32_t priority)
{
    if (priority == PRIORITY_NONE)
        return 4;
    return priority < 0 ? 0 : priority == 0 ? 1 : priority == 1 ? 2 : 3;
}

/* The one of that key, made when it is new; without service and environment when there are too many. */
static decision *find(decisions *d, key *k)
{
    uint32_t hash = hash_of(k);
    decision **slot = slot_of(d, k, hash);

    if (!*slot && d->len >= DECISIONS_MAX) {
        k->service = k->env = (sonde_str){ NULL, 0 };
        hash = hash_of(k);
        slot = slot_of(d, k, hash);
    }
    if (!*slot) {
        *slot = decision_new(k, hash);
        d->len += *slot != NULL;
    }
    return *slot;
}

void decisions_count(decisions *d, decider who, int32_t priority, sonde_str service, sonde_str env,
                     bool kept)
{
    key k = { who, priority_of(priority), service, env };
    decision *x = find(d, &k);

    if (!x) {
        d->lost++;
        return;
    }
    x->count.seen++;
    x->count.kept += kept;
}

void decisions_each(decisions *d, void (*tell)(void *user, decision_count *one), void *user)
{
    for (size_t i = 0; i < DECISION_SLOTS; i++)
        if (d->slots[i])
            tell(user, &d->slots[i]->count);
}
