/* text.h - a sequence of small records, written into the rest of a cell and then into further cells.
 *
 * A span's name and tags and a segment's propagating tags are such records: kind, key, value.  The
 * record's head and key lie in one cell; a value longer than the cell goes on in the next ones.
 *
 *   cell of the owner            continuation               continuation
 *   | owner | rec rec 0 |        | rec rec rec 0 |          | value goes on ... |
 *
 * Threads   none: whoever works on the owner.
 * Bounds    key 255 bytes, value SONDE__TEXT_VALUE_MAX; the region of cells. */
#ifndef SONDE_LIBTRACE_TEXT_H
#define SONDE_LIBTRACE_TEXT_H

#include <string.h>

#include "base/handover.h"
#include "base/str.h"
#include "cell.h"

#define SONDE__TEXT_VALUE_MAX 65535

/* clang-format off */
enum sonde__text_kind {
    SONDE__TEXT_END = 0, /* no further record in this cell */
    SONDE__TEXT_STR,     /* key, value */
    SONDE__TEXT_NUMBER,  /* key, 8 bytes of a double */
    SONDE__TEXT_GONE,    /* key: removed */
    SONDE__TEXT_NAME,    /* value; the last one counts, also below */
    SONDE__TEXT_RESOURCE,
    SONDE__TEXT_TYPE,
    SONDE__TEXT_LINK,       /* span: value is the link as v0.4 has it, packed */
    SONDE__TEXT_EVENT,      /* span: the same of an event */
    SONDE__TEXT_STRUCT,     /* span: key, a msgpack document; empty: removed */
    SONDE__TEXT_ORIGIN,     /* segment: value */
    SONDE__TEXT_PROPAGATING,/* segment: key with "_dd.p.", value */
    SONDE__TEXT_TRACESTATE, /* segment: foreign members, joined */
    SONDE__TEXT_OT,         /* segment: the ot member; with a key: it was changed */
    SONDE__TEXT_DD_UNKNOWN, /* segment: sub-items of the dd member we pass on */
    SONDE__TEXT_PARENT,     /* segment: p of the dd member */
    SONDE__TEXT_ERROR,      /* segment: value of _dd.propagation_error */
    SONDE__TEXT_LINK_TO,    /* segment: a received context for a link of its first span */
};
/* clang-format on */

typedef struct sonde__text {
    union {
        sonde__cell *tail;        /* the cell being written */
        sonde_handover_link link; /* once finished: of the chunk this span leads */
    };
    sonde__cell *more; /* first continuation, owned */
    union {
        struct {
            uint16_t at;    /* next free byte of the tail cell */
            uint16_t count; /* records of kinds STR, NUMBER, GONE, LINK, EVENT, STRUCT */
        };
        uint32_t chunk_len; /* once finished: spans of the chunk this span leads */
    };
    uint32_t of_owner; /* not the text's: room its owner may use */
} sonde__text;

/* A record as read.  A value that goes on in other cells has `rest` bytes there. */
typedef struct sonde__record {
    uint8_t kind;
    uint8_t key_len;
    uint16_t value_len;
    const char *key;
    const char *value; /* the first value_len - rest bytes */
    uint16_t rest;
    const sonde__cell *rest_at;
} sonde__record;

typedef struct sonde__text_cursor {
    const uint8_t *at;
    const uint8_t *end;
    const sonde__cell *next;
} sonde__text_cursor;

#define SONDE__TEXT_HEAD 4 /* kind, key length, value length */

/* Out of line: a new cell, or a value that spans cells.  False: no memory, nothing was written. */
bool sonde__text_add_slow(sonde__text *t, sonde__cell_stack *cells, unsigned kind, sonde_str key,
                          sonde_str value);

/* Where a value is being written: `to` is not past the end, or the record was not made for so much. */
typedef struct sonde__text_place {
    sonde__cell *cell;
    uint8_t *to;
    uint8_t *end; /* of the cell */
} sonde__text_place;

/* A record without a key whose value of `value_len` bytes is put piece by piece, then closed.  False: no
 * memory, nothing was written. */
bool sonde__text_open(sonde__text *t, sonde__cell_stack *cells, unsigned kind, size_t value_len,
                      sonde__text_place *out);
void sonde__text_put(sonde__text_place *place, const void *bytes, size_t len);
void sonde__text_close(sonde__text *t, const sonde__text_place *place);

/* `first` bytes of the owner's cell are the owner's. */
static inline void sonde__text_init(sonde__text *t, void *owner, size_t first)
{
    t->tail = (sonde__cell *)owner;
    t->more = NULL;
    t->at = (uint16_t)first;
    t->count = 0;
    ((uint8_t *)owner)[first] = SONDE__TEXT_END;
}

/* Names, keys and most values are short: they are copied without a call. */
static inline void sonde__copy_short(uint8_t *to, const char *from, size_t len)
{
    if (len > 32) {
        memcpy(to, from, len);
    } else if (len > 16) {
        memcpy(to, from, 16);
        memcpy(to + len - 16, from + len - 16, 16);
    } else if (len >= 8) {
        memcpy(to, from, 8);
        memcpy(to + len - 8, from + len - 8, 8);
    } else if (len >= 4) {
        memcpy(to, from, 4);
        memcpy(to + len - 4, from + len - 4, 4);
    } else if (len > 0) {
        to[0] = (uint8_t)from[0];
        to[len / 2] = (uint8_t)from[len / 2];
        to[len - 1] = (uint8_t)from[len - 1];
    }
}

static inline uint8_t *sonde__text_head(uint8_t *to, unsigned kind, size_t key_len,
                                        size_t value_len)
{
    uint16_t len = (uint16_t)value_len;

    to[0] = (uint8_t)kind;
    to[1] = (uint8_t)key_len;
    memcpy(to + 2, &len, 2);
    return to + SONDE__TEXT_HEAD;
}

/* Init and a first record without a key, which is known to fit. */
static inline void sonde__text_begin(sonde__text *t, void *owner, size_t first, unsigned kind,
                                     sonde_str value)
{
    uint8_t *to = sonde__text_head((uint8_t *)owner + first, kind, 0, value.len);

    t->tail = (sonde__cell *)owner;
    t->more = NULL;
    t->at = (uint16_t)(first + SONDE__TEXT_HEAD + value.len);
    t->count = 0;
    sonde__copy_short(to, value.ptr, value.len);
    to[value.len] = SONDE__TEXT_END;
}

/* False: no memory, nothing was written. */
static inline __attribute__((always_inline)) bool sonde__text_add(sonde__text *t,
                                                                  sonde__cell_stack *cells,
                                                                  unsigned kind, sonde_str key,
                                                                  sonde_str value)
{
    size_t need = SONDE__TEXT_HEAD + key.len + value.len;
    uint8_t *to = (uint8_t *)t->tail + t->at;

    if (__builtin_expect(need >= (size_t)SONDE__CELL_BYTES - t->at,
                         0)) /* the end mark needs a byte */
        return sonde__text_add_slow(t, cells, kind, key, value);
    t->at = (uint16_t)(t->at + need);
    to = sonde__text_head(to, kind, key.len, value.len);
    sonde__copy_short(to, key.ptr, key.len);
    sonde__copy_short(to + key.len, value.ptr, value.len);
    to[key.len + value.len] = SONDE__TEXT_END;
    return true;
}

/* Gives the further cells back; the owner's cell is the owner's. */
void sonde__text_free(const sonde__text *t, sonde__cell_stack *cells);

/* Reads from the start.  `first` as for init. */
static inline sonde__text_cursor sonde__text_read(const sonde__text *t, const void *owner,
                                                  size_t first)
{
    const uint8_t *cell = (const uint8_t *)owner;

    return (sonde__text_cursor){ cell + first, cell + SONDE__CELL_BYTES, t->more };
}

bool sonde__text_next(sonde__text_cursor *c, sonde__record *out); /* false: that was the last one */

/* Copies the whole value to `out` (value_len bytes), or its first `len` bytes. */
void sonde__text_copy(const sonde__record *r, char *out);
void sonde__text_copy_head(const sonde__record *r, char *out, size_t len);

static inline sonde_str sonde__record_key(const sonde__record *r)
{
    return (sonde_str){ r->key, r->key_len };
}

static inline sonde_str
sonde__record_head(const sonde__record *r) /* the part that is in one piece */
{
    return (sonde_str){ r->value, (size_t)(r->value_len - r->rest) };
}

#endif /* SONDE_LIBTRACE_TEXT_H */
