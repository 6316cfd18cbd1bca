/* decoder.c - the cold half of decoder.h: allocation, repair, large maps, the result. */
#include "decoder.h"

#include "base/alloc.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/rng.h"

#define ARENA_BLOCK_MAX_BYTES (64u * 1024 + 64)

void decoder_init(decoder *d, payload *p)
{
    sonde_mp_reader_init(&d->r, p->body.ptr, p->body.len);
    d->p = p;
    d->tally = (decode_tally){ 0 };
    d->over_memory = false;
    d->seed = 0;
}

sonde_status decoder_finish(const decoder *d, decode_tally *out_tally, sonde_error *out_error)
{
    sonde_status status = d->r.status;

    if (status == SONDE_OK) {
        *out_tally = d->tally;
        return SONDE_OK;
    }
    if (status == SONDE_ERR_EOF) /* the words of Datadog's decoder, which people search for */
        return sonde_fail(out_error, SONDE_ERR_SYNTAX, "msgp: too few bytes left to read object");
    if (status == SONDE_ERR_TOO_BIG && !d->over_memory)
        status = SONDE_ERR_SYNTAX; /* nested too deeply */
    return sonde_fail(out_error, status, "%s (at byte %zu)", d->r.error, d->r.error_at);
}

bool decoder_ends_early(decoder *d, uint32_t whole)
{
    if (!d->p->is_cut || whole == 0 || d->r.status != SONDE_ERR_EOF)
        return false;
    d->r.status = SONDE_OK;
    return true;
}

bool decoder_over_memory(decoder *d)
{
    d->over_memory = true;
    return sonde_mp_fail(&d->r, SONDE_ERR_TOO_BIG, "payload needs too much memory");
}

static void *over_memory(decoder *d)
{
    (void)decoder_over_memory(d);
    return NULL;
}

void *decoder_alloc(decoder *d, uint32_t count, size_t bytes)
{
    sonde_arena *arena = &d->p->arena;
    size_t total;
    void *at;

    if (count == 0)
        return NULL;
    if (!sonde_mul_size(count, bytes, &total))
        return over_memory(d);
    at = sonde_arena_alloc_aligned(arena, total, 8);
    if (at)
        return at;
    if (arena->max_bytes - arena->held_bytes < total + ARENA_BLOCK_MAX_BYTES)
        return over_memory(d);
    (void)sonde_mp_fail(&d->r, SONDE_ERR_NOMEM, "out of memory");
    return NULL;
}

void decoder_forget_head(payload *p)
{
    p->language_name = p->language_version = p->tracer_version = (sonde_str){ NULL, 0 };
}

bool decoder_skip(decoder *d, uint32_t values)
{
    while (values-- > 0) {
        if (!sonde_mp_skip(&d->r))
            return false;
    }
    return true;
}

uint32_t decoder_bounded(decoder *d, uint32_t count)
{
    if (count <= SPAN_ENTRIES_MAX)
        return count;
    d->tally.tags_cut += count - SPAN_ENTRIES_MAX;
    return SPAN_ENTRIES_MAX;
}

bool decoder_repair(decoder *d, sonde_str *text)
{
    size_t len;
    char *out;

    if (sonde_utf8_valid(*text))
        return true;
    len = sonde_utf8_repair(*text, NULL);
    if (len > UINT32_MAX)
        return decoder_over_memory(d);
    out = decoder_alloc(d, (uint32_t)len, 1);
    if (!out)
        return false;
    d->tally.strings_repaired++;
    *text = (sonde_str){ out, sonde_utf8_repair(*text, out) };
    return true;
}

void decode_map_init(decoder *d, decode_map *m, const void *entries, size_t entry_bytes,
                     uint32_t count)
{
    uint32_t slots = 2 * DECODE_LINEAR_MAX;

    *m = (decode_map){ .entries = entries, .entry_bytes = entry_bytes };
    if (count <= DECODE_LINEAR_MAX)
        return;
    while (slots < 2 * count && slots < DECODE_SLOTS)
        slots *= 2;
    if (d->seed == 0)
        d->seed = sonde_random_u64() | 1; /* nobody can aim at one slot */
    memset(d->slots, 0, slots * sizeof(d->slots[0]));
    m->slots_mask = slots - 1;
}

static sonde_str entry_key(const decode_map *m, uint32_t i)
{
    sonde_str key;

    memcpy(&key, m->entries + i * m->entry_bytes, sizeof(key));
    return key;
}

uint32_t decode_map_search(const decode_map *m, sonde_str key)
{
    for (uint32_t i = 0; i < m->len; i++) {
        if (sonde_str_eq(entry_key(m, i), key))
            return i;
    }
    return m->len;
}

uint32_t decode_map_slot_large(decoder *d, decode_map *m, sonde_str key)
{
    uint32_t at = (uint32_t)sonde_hash(d->seed, key.ptr, key.len) & m->slots_mask;

    for (; d->slots[at]; at = (at + 1) & m->slots_mask) {
        uint32_t i = d->slots[at] - 1u;

        if (sonde_str_eq(entry_key(m, i), key))
            return i;
    }
    d->slots[at] = (uint16_t)(m->len + 1);
    return m->len++;
}

void decode_map_index(decoder *d, decode_map *m)
{
    uint32_t len = m->len;
    decode_map all;

    decode_map_init(d, &all, m->entries, m->entry_bytes, SPAN_ENTRIES_MAX);
    while (all.len < len)
        (void)decode_map_slot_large(d, &all, entry_key(m, all.len));
    *m = all;
}
