/* v10_texts.c - the table of texts of a v1.0 payload. */
#include "v10.h"

#include "base/alloc.h"
#include "base/digest.h"
#include "base/rng.h"

#define TEXTS_FIRST 256u

static bool no_memory(v10 *v)
{
    return sonde_mp_fail(&v->d.r, SONDE_ERR_NOMEM, "out of memory");
}

static uint32_t *slot_of(const v10 *v, sonde_str raw)
{
    uint32_t at = (uint32_t)sonde_hash(v->seed, raw.ptr, raw.len) & v->slots_mask;

    while (v->slots[at] && !sonde_str_eq(v->texts[v->slots[at]].raw, raw))
        at = (at + 1) & v->slots_mask;
    return &v->slots[at];
}

/* Room for twice as many; what is there is hashed anew, the first of equal ones. */
static bool grow(v10 *v)
{
    uint32_t cap = v->texts_cap ? v->texts_cap * 2 : TEXTS_FIRST;
    v10_text *texts = sonde_realloc(v->texts, cap * sizeof(*texts));
    uint32_t *slots;

    if (!texts)
        return no_memory(v);
    v->texts = texts;
    slots = sonde_calloc(2 * cap, sizeof(*slots));
    if (!slots)
        return no_memory(v);
    sonde_free(v->slots);
    v->slots = slots;
    v->slots_mask = 2 * cap - 1;
    v->texts_cap = cap;
    for (uint32_t i = 1; i < v->texts_len; i++) {
        uint32_t *slot = slot_of(v, v->texts[i].raw);

        if (*slot == 0)
            *slot = i;
    }
    return true;
}

bool v10_texts_init(v10 *v)
{
    v->seed = sonde_random_u64();
    if (!grow(v))
        return false;
    v->texts[0] = (v10_text){ SONDE_STR(""), SONDE_STR("") };
    v->texts_len = 1;
    return true;
}

void v10_texts_done(v10 *v)
{
    sonde_free(v->texts);
    sonde_free(v->slots);
}

/* `slot` is where it belongs, or NULL to find that out. */
static bool add(v10 *v, sonde_str raw, uint32_t *slot)
{
    v10_text t = { raw, raw };

    if (!decode_is_ascii(raw.ptr, raw.len) && !decoder_repair(&v->d, &t.text))
        return false;
    if (v->texts_len == V10_TEXTS_MAX)
        return decoder_over_memory(&v->d);
    if (v->texts_len == v->texts_cap) {
        if (!grow(v))
            return false;
        slot = NULL;
    }
    if (!slot)
        slot = slot_of(v, raw);
    if (*slot == 0)
        *slot = v->texts_len;
    v->texts[v->texts_len++] = t;
    return true;
}

static bool read_literal(v10 *v, sonde_str *out)
{
    sonde_str raw;
    uint32_t *slot;

    if (!sonde_mp_read_str(&v->d.r, &raw))
        return false;
    if (raw.len == 0) {
        *out = v->texts[0].text;
        return true;
    }
    slot = slot_of(v, raw);
    if (*slot) {
        *out = v->texts[*slot].text;
        return true;
    }
    if (!add(v, raw, slot))
        return false;
    *out = v->texts[v->texts_len - 1].text;
    return true;
}

bool v10_read_text_slow(v10 *v, sonde_str *out)
{
    sonde_mp_reader *r = &v->d.r;
    uint64_t number;

    switch (sonde_mp_peek(r)) {
    case SONDE_MP_STR:
        return read_literal(v, out);
    case SONDE_MP_UINT:
        break;
    case SONDE_MP_END:
        return sonde_mp_fail(r, SONDE_ERR_EOF, "a string is cut off");
    default:
        return sonde_mp_fail(r, SONDE_ERR_SYNTAX, "expected a string or the number of one");
    }
    if (!sonde_mp_read_u64(r, &number))
        return false;
    if (number >= v->texts_len) {
        v->bad_number = number;
        v->is_bad = true;
        return sonde_mp_fail(r, SONDE_ERR_SYNTAX, "string index out of range");
    }
    *out = v->texts[number].text;
    return true;
}

bool v10_read_list(v10 *v)
{
    uint32_t count;
    sonde_str raw;

    if (v->texts_len > 1)
        return sonde_mp_fail(&v->d.r, SONDE_ERR_SYNTAX, "strings come before their list");
    if (!v10_read_header(v, V10_HEADER_MAX, &count))
        return false;
    while (count-- > 0) {
        if (!sonde_mp_read_str(&v->d.r, &raw))
            return false;
        if (raw.len && !add(v, raw, NULL))
            return false;
    }
    return true;
}
