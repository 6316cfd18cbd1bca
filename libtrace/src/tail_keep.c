/* tail_keep.c - the percentiles, and the second look at a trace. */
#include "tail_keep.h"

#include <string.h>

#include "base/digest.h"
#include "base/limiter.h"
#include "base/log.h"
#include "base/parse.h"

#include "fast_clock.h"
#include "sampler.h"

#define WAYS          4
#define STEPS         64u        /* the n-th step is this / (n + this) doublings */
#define STEP_MIN      (1u << 12) /* a doubling is 1 << 16 */
#define KEY_MAX_BYTES 256        /* of a resource; longer ones are told apart by their length */

struct sonde__tail {
    bool errors;
    bool percentile;
    uint64_t slow_ns; /* UINT64_MAX: no fixed threshold */
    sonde_limiter budget;
};

_Atomic(sonde__tail *) sonde__tail_now;

/* -- percentiles ---------------------------------------------------------------------------------- */

/* Key 0: free.  State: roots seen, above the percentile as level_of() has it. */
typedef struct slot {
    _Atomic uint64_t key;
    _Atomic uint64_t state;
} slot;

static slot slots[SONDE__TAIL_SLOTS];

static uint32_t seen_of(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

/* The logarithm to base 2 in 1/65536, straight between powers of two. */
static uint32_t level_of(uint64_t duration_ns)
{
    uint64_t d = duration_ns | 1;
    unsigned bit = 63 - (unsigned)__builtin_clzll(d);
    uint64_t rest = bit < 16 ? d << (16 - bit) : d >> (bit - 16);

    return (uint32_t)bit << 16 | (uint32_t)(rest & 0xffff);
}

static slot *find_slot(uint64_t key)
{
    slot *set = &slots[key % (SONDE__TAIL_SLOTS / WAYS) * WAYS];
    slot *least = set;
    int i;

    for (i = 0; i < WAYS; i++) {
        uint64_t have = atomic_load_explicit(&set[i].key, memory_order_relaxed);

        if (have == key)
            return &set[i];
        if (seen_of(atomic_load_explicit(&set[i].state, memory_order_relaxed)) <
            seen_of(atomic_load_explicit(&least->state, memory_order_relaxed)))
            least = &set[i];
    }
    if (atomic_load_explicit(&least->key, memory_order_relaxed) != 0)
        sonde__count(SONDE__TAIL_EVICTED, 1);
    atomic_store_explicit(&least->state, 0, memory_order_relaxed);
    atomic_store_explicit(&least->key, key, memory_order_relaxed);
    return least;
}

bool sonde__tail_is_slow(uint64_t key, uint64_t duration_ns)
{
    slot *s = find_slot(key ? key : 1);
    uint64_t state = atomic_load_explicit(&s->state, memory_order_relaxed);
    uint32_t seen = seen_of(state);
    uint32_t level = level_of(duration_ns);
    uint32_t percentile = seen ? (uint32_t)state : level;
    uint32_t step = seen < 960 ? (STEPS << 16) / (seen + STEPS) : STEP_MIN;
    /* At first it comes down ten times as fast: the first root of a process is often its slowest. */
    uint32_t down = step / (seen < SONDE__TAIL_SEEN_MIN ? 10 : 100);
    bool above = level > percentile;

    if (above)
        percentile += step / 100 * 99;
    else
        percentile -= percentile > down ? down : 0;
    seen += seen < UINT32_MAX;
    atomic_store_explicit(&s->state, (uint64_t)seen << 32 | percentile, memory_order_relaxed);
    return above && seen > SONDE__TAIL_SEEN_MIN;
}

/* -- settings ------------------------------------------------------------------------------------- */

static bool take_item(sonde__tail *t, sonde_str item)
{
    sonde_str rest = item;
    sonde_str word = sonde_str_trim(sonde_str_cut(&rest, ':'));

    if (rest.ptr && sonde_str_eq_nocase(word, SONDE_STR("slow")) && word.len < item.len)
        return sonde_parse_duration_ns(sonde_str_trim(rest), SONDE_NS_PER_MS, &t->slow_ns) ==
               SONDE_OK;
    if (sonde_str_eq_nocase(item, SONDE_STR("slow")))
        t->percentile = true;
    else if (sonde_str_eq_nocase(item, SONDE_STR("error")))
        t->errors = true;
    else
        return item.len == 0;
    return true;
}

static void forget_all(void)
{
    int i;

    for (i = 0; i < SONDE__TAIL_SLOTS; i++) {
        atomic_store_explicit(&slots[i].key, 0, memory_order_relaxed);
        atomic_store_explicit(&slots[i].state, 0, memory_order_relaxed);
    }
}

void sonde__tail_open(const sonde__config *c)
{
    static sonde__tail lives[2]; /* a thread may still be in the last one */
    sonde__tail *was = atomic_load_explicit(&sonde__tail_now, memory_order_relaxed);
    sonde__tail *t = was == &lives[0] ? &lives[1] : &lives[0];
    sonde_str list = c->tail_keep;

    memset(t, 0, sizeof(*t));
    t->slow_ns = UINT64_MAX;
    sonde_limiter_init(&t->budget, c->tail_keep_per_second);
    while (list.len > 0) {
        sonde_str item = sonde_str_trim(sonde_str_cut(&list, ','));

        if (!take_item(t, item))
            SONDE_LOG_ALWAYS(
                SONDE_LOG_WARN,
                "variable not used: SONDE_TAIL_KEEP item=%s reason=\"not error, slow or "
                "slow:<n>ms\" using=\"the others\"",
                SONDE_LOG_QUOTE(item));
    }
    if (t->percentile)
        forget_all();
    if (!t->errors && !t->percentile && t->slow_ns == UINT64_MAX)
        t = NULL;
    /* pairs with the load where a span finishes */
    atomic_store_explicit(&sonde__tail_now, t, memory_order_release);
}

/* -- a span finishes ------------------------------------------------------------------------------ */

static uint64_t hash_text(uint64_t seed, const sonde__record *r)
{
    char text[KEY_MAX_BYTES];
    sonde__record head = *r;

    if (head.value_len > sizeof(text)) {
        size_t here = (size_t)(r->value_len - r->rest);

        head.value_len = sizeof(text);
        head.rest = (uint16_t)(here < sizeof(text) ? sizeof(text) - here : 0);
    }
    sonde__text_copy(&head, text);
    return sonde_hash(seed + r->value_len, text, head.value_len);
}

static uint64_t resource_key(const sonde__span *root)
{
    sonde__text_cursor c = sonde__text_read(&root->text, root, SONDE__SPAN_BYTES);
    sonde__record name = { .value = "" };
    sonde__record resource = { .value = "" };
    sonde__record r;

    while (sonde__text_next(&c, &r)) {
        if (r.kind == SONDE__TEXT_NAME)
            name = r;
        else if (r.kind == SONDE__TEXT_RESOURCE)
            resource = r;
    }
    return hash_text(root->service, resource.value_len > 0 ? &resource : &name);
}

/* Dropped by the agent's rate: no rule, no hand, nobody else has spoken. */
static bool may_be_kept(const sonde__segment *s)
{
    sonde__decision d = atomic_load_explicit(&s->decision, memory_order_relaxed);

    return sonde__decision_by_rate(d) && sonde__decision_priority(d) == SONDE__AUTO_DROP;
}

static bool is_worth_it(const sonde__tail *t, const sonde__span *root)
{
    bool slow = root->duration_ns > t->slow_ns;

    if (t->percentile)
        slow |= sonde__tail_is_slow(resource_key(root), root->duration_ns);
    return slow || (t->errors && (root->flags & SONDE__SPAN_ERROR));
}

static void look_at_root(sonde__tail *t, sonde__area *a, sonde__span *root)
{
    sonde__segment *s = root->segment;
    uint32_t done = SONDE__SEGMENT_TAIL_DONE;
    bool head = (atomic_load_explicit(&s->flags, memory_order_relaxed) & done) != 0;

    if (is_worth_it(t, root) && !head && may_be_kept(s)) {
        bool passed = sonde_limiter_pass(&t->budget, sonde__now_mono_ns());

        done |= passed ? SONDE__SEGMENT_TAIL_KEPT : 0;
        sonde__count_own(&a->counts, passed ? SONDE__TAIL_KEPT : SONDE__TAIL_REFUSED, 1);
    }
    atomic_fetch_or_explicit(&s->flags, done, memory_order_relaxed);
}

static bool can_wait(const sonde__segment *s)
{
    uint64_t state = atomic_load_explicit(&s->state, memory_order_relaxed);

    return sonde__state_finished(state) < SONDE__SEGMENT_SPANS_MAX / 2 && !sonde__cells_half_used();
}

uint32_t sonde__tail_finishes(sonde__tail *t, sonde__area *a, sonde__span *span,
                              uint32_t partial_len)
{
    sonde__segment *s = span->segment;

    if ((span->flags & SONDE__SPAN_LOCAL_ROOT) &&
        atomic_load_explicit(&s->local_root_id, memory_order_relaxed) == span->id) {
        look_at_root(t, a, span);
        return partial_len;
    }
    if (!may_be_kept(s) ||
        (atomic_load_explicit(&s->flags, memory_order_relaxed) & SONDE__SEGMENT_TAIL_DONE))
        return partial_len;
    if (can_wait(s))
        return SONDE__SEGMENT_SPANS_MAX;
    atomic_fetch_or_explicit(&s->flags, SONDE__SEGMENT_TAIL_DONE, memory_order_relaxed);
    return partial_len;
}
