/* text.c - records that need another cell, and reading. */
#include "text.h"

#define ROOM sizeof(((sonde__cell *)0)->body)

static void give_chain(sonde__cell_stack *cells, sonde__cell *from)
{
    while (from) {
        sonde__cell *next = from->next;

        sonde__cell_give(cells, from);
        from = next;
    }
}

/* Cells for `bytes`, linked; NULL when there are not enough. */
static sonde__cell *take_chain(sonde__cell_stack *cells, size_t bytes, sonde__cell **out_last)
{
    sonde__cell *first = NULL;
    sonde__cell *last = NULL;
    size_t have;

    for (have = 0; have < bytes; have += ROOM) {
        sonde__cell *cell = (sonde__cell *)sonde__cell_take(cells);

        if (!cell) {
            give_chain(cells, first);
            return NULL;
        }
        cell->next = NULL;
        if (last)
            last->next = cell;
        else
            first = cell;
        last = cell;
    }
    *out_last = last;
    return first;
}

static uint8_t *write_value(sonde__cell *cell, uint8_t *to, sonde_str value)
{
    size_t room = (size_t)((uint8_t *)cell + SONDE__CELL_BYTES - to);

    while (value.len >= room) { /* the end mark behind it needs a byte as well */
        memcpy(to, value.ptr, room);
        value = sonde_str_sub(value, room, value.len);
        cell = cell->next;
        to = cell->body;
        room = ROOM;
    }
    memcpy(to, value.len ? value.ptr : "", value.len);
    return to + value.len;
}

bool sonde__text_add_slow(sonde__text *t, sonde__cell_stack *cells, unsigned kind, sonde_str key,
                          sonde_str value)
{
    sonde__cell *last;
    sonde__cell *first = take_chain(cells, SONDE__TEXT_HEAD + key.len + value.len + 1, &last);
    uint8_t *to;

    if (!first)
        return false;
    if (t->more)
        t->tail->next = first;
    else
        t->more = first;
    to = sonde__text_head(first->body, kind, key.len, value.len);
    memcpy(to, key.len ? key.ptr : "", key.len);
    to = write_value(first, to + key.len, value);
    *to = SONDE__TEXT_END;
    t->tail = last;
    t->at = (uint16_t)(to - (uint8_t *)last);
    return true;
}

static void enter_cell(sonde__text_cursor *c, const sonde__cell *cell)
{
    c->at = cell->body;
    c->end = (const uint8_t *)cell + SONDE__CELL_BYTES;
    c->next = cell->next;
}

/* Moves past the bytes of a value that lie in further cells; the records after it follow there. */
static void skip_rest(sonde__text_cursor *c, size_t rest)
{
    while (rest > 0) {
        size_t here = rest < ROOM ? rest : ROOM;

        enter_cell(c, c->next);
        c->at += here;
        rest -= here;
    }
}

bool sonde__text_next(sonde__text_cursor *c, sonde__record *out)
{
    const uint8_t *at;
    size_t here;

    while (c->at == c->end || *c->at == SONDE__TEXT_END) {
        if (!c->next)
            return false;
        enter_cell(c, c->next);
    }
    at = c->at;
    out->kind = at[0];
    out->key_len = at[1];
    memcpy(&out->value_len, at + 2, 2);
    out->key = (const char *)at + SONDE__TEXT_HEAD;
    out->value = out->key + out->key_len;
    here = (size_t)(c->end - (const uint8_t *)out->value);
    if (out->value_len <= here) {
        out->rest = 0;
        out->rest_at = NULL;
        c->at = (const uint8_t *)out->value + out->value_len;
        return true;
    }
    out->rest = (uint16_t)(out->value_len - here);
    out->rest_at = c->next;
    skip_rest(c, out->rest);
    return true;
}

void sonde__text_copy(const sonde__record *r, char *out)
{
    size_t done = (size_t)(r->value_len - r->rest);
    size_t rest = r->rest;
    const sonde__cell *cell = r->rest_at;

    memcpy(out, r->value, done);
    while (rest > 0) {
        size_t here = rest < ROOM ? rest : ROOM;

        memcpy(out + done, cell->body, here);
        done += here;
        rest -= here;
        cell = cell->next;
    }
}
