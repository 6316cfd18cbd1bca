/* rate_core.c - counts per signature and bucket, and the rates that follow from them.
 *
 * Entries are an array with an open-addressing index beside it.  Nothing is removed between two
 * updates; an update compacts the array and rebuilds the index, so the hot path knows no deletion.
 */
#include "rate_core.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define ENTRIES_MIN  64
#define KNUTH_FACTOR 1111111111111111111u

void rate_core_init(rate_core *c, double target_per_s, double extra_rate, size_t max_signatures)
{
    memset(c, 0, sizeof(*c));
    c->target_per_s = target_per_s;
    c->extra_rate = extra_rate;
    c->lowest_rate = 1.0;
    c->max_signatures = max_signatures;
}

void rate_core_done(rate_core *c)
{
    sonde_free(c->entries);
    sonde_free(c->slots);
    sonde_free(c->scratch);
    memset(c, 0, sizeof(*c));
}

static size_t slot_of(const rate_core *c, uint32_t signature)
{
    size_t mask = c->slots_len - 1;
    size_t at = signature & mask;

    while (c->slots[at] && c->entries[c->slots[at] - 1].signature != signature)
        at = (at + 1) & mask;
    return at;
}

static rate_signature *find(const rate_core *c, uint32_t signature)
{
    uint32_t index;

    if (!c->slots_len)
        return NULL;
    index = c->slots[slot_of(c, signature)];
    return index ? &c->entries[index - 1] : NULL;
}

static void rebuild_index(rate_core *c)
{
    size_t i;

    memset(c->slots, 0, c->slots_len * sizeof(*c->slots));
    for (i = 0; i < c->entries_len; i++)
        c->slots[slot_of(c, c->entries[i].signature)] = (uint32_t)i + 1;
}

static sonde_status grow(rate_core *c)
{
    size_t cap = c->entries_cap ? c->entries_cap * 2 : ENTRIES_MIN;
    rate_signature *entries;
    uint32_t *slots;
    double *scratch;

    entries = sonde_realloc(c->entries, cap * sizeof(*entries));
    if (!entries)
        return SONDE_ERR_NOMEM;
    c->entries = entries;
    scratch = sonde_realloc(c->scratch, cap * sizeof(*scratch));
    if (!scratch)
        return SONDE_ERR_NOMEM;
    c->scratch = scratch;
    slots = sonde_realloc(c->slots, cap * 2 * sizeof(*slots));
    if (!slots)
        return SONDE_ERR_NOMEM;
    c->slots = slots;
    c->slots_len = cap * 2;
    c->entries_cap = cap;
    rebuild_index(c);
    return SONDE_OK;
}

/* The entry to count under; NULL when there is no memory even for "other". */
static rate_signature *entry_for(rate_core *c, uint32_t signature)
{
    rate_signature *e = find(c, signature);

    if (e)
        return e;
    if (c->entries_len >= c->max_signatures && signature != RATE_SIGNATURE_OTHER) {
        c->collapsed++;
        return entry_for(c, RATE_SIGNATURE_OTHER);
    }
    if (c->entries_len == c->entries_cap && grow(c) != SONDE_OK)
        return NULL;
    e = &c->entries[c->entries_len++];
    *e = (rate_signature){ .signature = signature };
    c->slots[slot_of(c, signature)] = (uint32_t)c->entries_len;
    return e;
}

/* The busiest of the six buckets that are still within the window; empties those that are not, and the
 * one the new bucket will use. */
static double turn(double counts[RATE_BUCKETS], int64_t previous, int64_t bucket)
{
    double busiest = 0.0;
    int64_t i;

    for (i = previous + 1; i <= previous + RATE_BUCKETS; i++) {
        double *count = &counts[i % RATE_BUCKETS];

        if (i < bucket)
            *count = 0.0;
        if (*count > busiest)
            busiest = *count;
        if (i == bucket)
            *count = 0.0;
    }
    return busiest;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double rate_fair_share(double target, const double *seen, size_t len)
{
    double share = len ? target / (double)len : target;
    size_t i;

    for (i = 0; i + 1 < len && seen[i] < share; i++) {
        target -= seen[i];
        share = target / (double)(len - i - 1);
    }
    return share;
}

static double next_rate(const rate_signature *e, double seen_per_s, double share)
{
    double rate = seen_per_s > share ? share / seen_per_s : 1.0;

    if (e->has_rate && e->rate > 0.0 && rate > e->rate * RATE_MAX_INCREASE)
        rate = e->rate * RATE_MAX_INCREASE;
    return rate > 1.0 ? 1.0 : rate;
}

static void update(rate_core *c, int64_t bucket)
{
    size_t i, kept = 0;
    double share;

    (void)turn(c->all_counts, c->bucket, bucket);
    c->lowest_rate = 1.0;
    if (!c->entries_len)
        return;

    for (i = 0; i < c->entries_len; i++) {
        rate_signature *e = &c->entries[i];

        e->seen_per_s = turn(e->counts, c->bucket, bucket) / RATE_BUCKET_S;
        c->scratch[i] = e->seen_per_s;
    }
    qsort(c->scratch, c->entries_len, sizeof(*c->scratch), ascending);
    share = rate_fair_share(c->target_per_s, c->scratch, c->entries_len);

    for (i = 0; i < c->entries_len; i++) {
        rate_signature e = c->entries[i];

        e.rate = next_rate(&e, e.seen_per_s, share);
        e.has_rate = true;
        if (e.rate >= 1.0 && e.seen_per_s <= 0.0)
            continue; /* no traffic in the window: forgotten */
        if (e.rate < c->lowest_rate)
            c->lowest_rate = e.rate;
        c->entries[kept++] = e;
    }
    c->entries_len = kept;
    rebuild_index(c);
}

bool rate_core_count(rate_core *c, int64_t now_unix_s, uint32_t signature, double weight)
{
    int64_t bucket = now_unix_s / RATE_BUCKET_S;
    bool turned = bucket != c->bucket;
    rate_signature *e;

    if (turned) {
        update(c, bucket);
        c->bucket = bucket;
    }
    c->all_counts[bucket % RATE_BUCKETS] += weight;
    e = entry_for(c, signature);
    if (e)
        e->counts[bucket % RATE_BUCKETS] += weight;
    return turned;
}

bool rate_core_find(const rate_core *c, uint32_t signature, double *out_rate)
{
    const rate_signature *e = find(c, signature);

    if (!e || !e->has_rate)
        return false;
    *out_rate = e->rate * c->extra_rate;
    return true;
}

double rate_core_default_rate(const rate_core *c)
{
    double busiest = 0.0, rate = 1.0;
    int i;

    if (c->target_per_s <= 0.0)
        return 0.0;
    for (i = 0; i < RATE_BUCKETS; i++)
        if (c->all_counts[i] > busiest)
            busiest = c->all_counts[i];
    if (busiest / RATE_BUCKET_S > c->target_per_s)
        rate = c->target_per_s / (busiest / RATE_BUCKET_S);
    if (c->lowest_rate > 0.0 && c->lowest_rate < rate)
        rate = c->lowest_rate;
    return rate;
}

double rate_core_rate(const rate_core *c, uint32_t signature)
{
    double rate;

    return rate_core_find(c, signature, &rate) ? rate : rate_core_default_rate(c);
}

bool rate_keeps(uint64_t trace_id, double rate)
{
    if (rate >= 1.0)
        return true;
    if (!(rate > 0.0))
        return false;
    return trace_id * KNUTH_FACTOR < (uint64_t)(rate * (double)UINT64_MAX);
}
