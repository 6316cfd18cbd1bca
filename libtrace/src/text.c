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

void sonde__text_put(sonde__text_place *place, const void *bytes, size_t len)
{
    size_t room = (size_t)(place->end - place->to);

    while (len >= room) { /* the end mark behind it needs a byte as well */
        memcpy(place->to, bytes, room);
        bytes = (const uint8_t *)bytes + room;
        len -= room;
        place->cell = place->cell->next;
        place->to = place->cell->body;
        place->end = (uint8_t *)place->cell + SONDE__CELL_BYTES;
        room = ROOM;
    }
    memcpy(place->to, bytes, len);
    place->to += len;
}

void sonde__text_close(sonde__text *t, const sonde__text_place *place)
{
    *place->to = SONDE__TEXT_END;
    t->tail = place->cell;
    t->at = (uint16_t)(place->to - (uint8_t *)place->cell);
}

/* A record in cells of its own. */
static bool open_in_new_cells(sonde__text *t, sonde__cell_stack *cells, unsigned kind,
                              size_t key_len, size_t value_len, sonde__text_place *out)
{
    sonde__cell *last;
    sonde__cell *first = take_chain(cells, SONDE__TEXT_HEAD + key_len + value_len + 1, &last);

    if (!first)
        return false;
    if (t->more)
        t->tail->next = first;
    else
        t->more = first;
    out->cell = first;
    out->to = sonde__text_head(first->body, kind, key_len, value_len);
    out->end = (uint8_t *)first + SONDE__CELL_BYTES;
    return true;
}

bool sonde__text_open(sonde__text *t, sonde__cell_stack *cells, unsigned kind, size_t value_len,
                      sonde__text_place *out)
{
    size_t room = (size_t)SONDE__CELL_BYTES - t->at;

    if (SONDE__TEXT_HEAD + value_len >= room)
        return open_in_new_cells(t, cells, kind, 0, value_len, out);
    out->cell = t->tail;
    out->to = sonde__text_head((uint8_t *)t->tail + t->at, kind, 0, value_len);
    out->end = (uint8_t *)t->tail + SONDE__CELL_BYTES;
    return true;
}

bool sonde__text_add_slow(sonde__text *t, sonde__cell_stack *cells, unsigned kind, sonde_str key,
                          sonde_str value)
{
    sonde__text_place place;

    if (!open_in_new_cells(t, cells, kind, key.len, value.len, &place))
        return false;
    sonde__text_put(&place, key.len ? key.ptr : "", key.len);
    sonde__text_put(&place, value.len ? value.ptr : "", value.len);
    sonde__text_close(t, &place);
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

void sonde__text_copy_head(const sonde__record *r, char *out, size_t len)
{
    size_t done = (size_t)(r->value_len - r->rest);
    const sonde__cell *cell = r->rest_at;
    size_t rest;

    if (done > len)
        done = len;
    memcpy(out, r->value, done);
    for (rest = len - done; rest > 0; cell = cell->next) {
        size_t here = rest < ROOM ? rest : ROOM;

        memcpy(out + done, cell->body, here);
        done += here;
        rest -= here;
    }
}

void sonde__text_copy(const sonde__record *r, char *out)
{
    sonde__text_copy_head(r, out, r->value_len);
}

void sonde__text_free(const sonde__text *t, sonde__cell_stack *cells)
{
    give_chain(cells, t->more);
}
