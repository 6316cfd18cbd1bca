/* window.c - rows, and a hash of the keys of those that are sums. */
#include "window.h"

#include <string.h>

#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/hex.h"

#define ROWS_FIRST 512u
#define NO_ROW     UINT32_MAX

void sonde_prof__window_init(sonde_prof__window *w, uint32_t timed_max)
{
    memset(w, 0, sizeof(*w));
    w->timed_max = timed_max;
}

void sonde_prof__window_done(sonde_prof__window *w)
{
    sonde_free(w->rows);
    sonde_free(w->slots);
    sonde_prof__window_init(w, w->timed_max);
}

void sonde_prof__window_clear(sonde_prof__window *w)
{
    sonde_prof__window kept = *w;

    sonde_prof__window_init(w, kept.timed_max);
    w->rows = kept.rows;
    w->slots = kept.slots;
    w->cap = kept.cap;
    w->slots_len = kept.slots_len;
    if (w->slots)
        memset(w->slots, 0, w->slots_len * sizeof(*w->slots));
}

/* -- rows ------------------------------------------------------------------------------------------- */

static uint32_t slot_of(const sonde_prof__window *w, const sonde_prof__tally_key *key)
{
    uint32_t at = (uint32_t)sonde_hash(0, key, sizeof(*key)) & (w->slots_len - 1);

    while (w->slots[at] && memcmp(&w->rows[w->slots[at] - 1].key, key, sizeof(*key)) != 0)
        at = (at + 1) & (w->slots_len - 1);
    return at;
}

static bool make_room(sonde_prof__window *w)
{
    uint32_t cap = w->cap ? w->cap * 2 : ROWS_FIRST, i;
    sonde_prof__tally *rows;
    uint32_t *slots;

    if (w->len == SONDE_PROF__ROWS_MAX)
        return false;
    if (w->len < w->cap)
        return true;
    slots = (uint32_t *)sonde_calloc((size_t)cap * 2, sizeof(*slots));
    rows = slots ? (sonde_prof__tally *)sonde_realloc(w->rows, cap * sizeof(*rows)) : NULL;
    if (!rows) {
        sonde_free(slots);
        return false;
    }
    sonde_free(w->slots);
    w->rows = rows;
    w->slots = slots;
    w->cap = cap;
    w->slots_len = cap * 2;
    for (i = 0; i < w->len; i++)
        if (!w->rows[i].timed)
            w->slots[slot_of(w, &w->rows[i].key)] = i + 1;
    return true;
}

static sonde_prof__tally *append(sonde_prof__window *w, const sonde_prof__tally_key *key)
{
    sonde_prof__tally *r;

    if (!make_room(w))
        return NULL;
    r = &w->rows[w->len++];
    memset(r, 0, sizeof(*r));
    r->key = *key;
    w->rows_of[key->kind]++;
    return r;
}

/* CPU and wall samples have the whole timeline, what else there is half of it. */
static bool has_time(const sonde_prof__window *w, uint32_t kind)
{
    uint32_t max = kind <= SONDE_PROF__WALL ? w->timed_max : w->timed_max / 2;

    return w->timed_len < max;
}

static sonde_prof__tally *row_for(sonde_prof__window *w, const sonde_prof__tally_key *key)
{
    sonde_prof__tally *r;
    uint32_t at;

    if (has_time(w, key->kind)) {
        r = append(w, key);
        if (r) {
            r->timed = true;
            w->timed_len++;
        }
        return r;
    }
    if (w->slots_len > 0) {
        at = slot_of(w, key);
        if (w->slots[at])
            return &w->rows[w->slots[at] - 1];
    }
    r = append(w, key);
    if (r)
        w->slots[slot_of(w, key)] = w->len;
    return r;
}

/* -- samples ---------------------------------------------------------------------------------------- */

static uint32_t address_string(sonde_prof__dict *d, int64_t address)
{
    char text[18] = "0x";

    sonde_hex_u64((uint64_t)address, text + 2);
    return sonde_prof__dict_string(d, (sonde_str){ text, sizeof(text) });
}

/* Of text in the program, which may have unloaded it since: the kernel looks first. */
static uint32_t text_string(sonde_prof__dict *d, int64_t address)
{
    char text[256];
    struct iovec to = { text, sizeof(text) }, from = { (void *)(uintptr_t)address, sizeof(text) };
    ssize_t n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);

    if (n <= 0)
        return address_string(d, address);
    return sonde_prof__dict_string(d, (sonde_str){ text, strnlen(text, (size_t)n) });
}

static void take_extra(sonde_prof__tally_key *key, sonde_prof__dict *d, const sonde_prof__sample *s)
{
    switch (s->kind) {
    case SONDE_PROF__WALL:
        key->extra[0] = (uint32_t)s->value[1];
        break;
    case SONDE_PROF__LOCK:
    case SONDE_PROF__RELEASE:
        key->extra[0] = address_string(d, s->value[2]);
        key->extra[1] = (uint32_t)s->value[3];
        break;
    case SONDE_PROF__IO:
        key->extra[0] = (uint32_t)s->value[3] & 0xff;
        key->extra[1] = (uint32_t)(s->value[3] >> 8);
        break;
    case SONDE_PROF__EXCEPTION:
        key->extra[0] = text_string(d, s->value[1]);
        break;
    case SONDE_PROF__CUSTOM:
        key->extra[0] = (uint32_t)s->value[1];
        key->extra[1] = (uint32_t)s->value[2];
        break;
    default:
        break;
    }
}

void sonde_prof__window_add(sonde_prof__window *w, sonde_prof__dict *d, const sonde_prof__sample *s,
                            uint32_t thread)
{
    sonde_prof__tally_key key = { .kind = s->kind, .thread = thread };
    sonde_prof__tally *r;
    unsigned i;

    if (s->kind == 0 || s->kind >= SONDE_PROF__KINDS)
        return;
    key.context = sonde_prof__dict_context(d, &s->context);
    key.node = sonde_prof__dict_stack(d, s);
    take_extra(&key, d, s);
    if (!sonde_prof__is_nobodys(s))
        w->ends[s->end % SONDE_PROF__ENDS]++;
    r = row_for(w, &key);
    if (!r) {
        w->lost[s->kind] += s->events;
        w->lost_value[s->kind] += (uint64_t)sonde_prof__worth(s);
        return;
    }
    if (r->events == 0)
        r->mono_ns = s->mono_ns;
    r->events += s->events;
    w->samples[s->kind] += s->events;
    for (i = 0; i < sonde_prof__sums_of(s->kind); i++)
        r->value[i] += s->value[i];
}

uint64_t sonde_prof__round_256(int64_t value)
{
    uint64_t v = value > 0 ? (uint64_t)value : 0, whole = v >> 8, part = v & 255;

    return whole + (part > 128 || (part == 128 && (whole & 1)));
}
