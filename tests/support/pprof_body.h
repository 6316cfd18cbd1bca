/* support/pprof_body.h - pprof messages from lines a person can read, for tests of those who read them.
 *
 *     pprof_body b;
 *     pprof_body_begin(&b, "cpu-samples/count,cpu-time/nanoseconds");
 *     pprof_body_sample(&b, "main;work;libc.so!memcpy", (int64_t[]){ 1, 10, -1 }, "thread name=a,span id=#7");
 *     pprof_body_end(&b);      // b.out
 *
 * A stack is root first; "object!name", or the name alone, of "demo"; "object!#64" is an address without a function; values end with -1.  A label's
 * value is a text, or a number behind '#'.  "outer+inner+innermost" is one
 * location: functions inlined into the first; "name@64" has an address, too.  Written field by field with codec/pb_write.h, ids from 1. */
#ifndef SONDE_TESTS_SUPPORT_PPROF_BODY_H
#define SONDE_TESTS_SUPPORT_PPROF_BODY_H

#include "base/parse.h"
#include "codec/pb_write.h"

#define PPROF_BODY_ROWS    64
#define PPROF_BODY_INLINED 8

typedef struct pprof_body {
    sonde_buf out;
    sonde_str strings[PPROF_BODY_ROWS];
    sonde_str objects[PPROF_BODY_ROWS];
    sonde_str frames[PPROF_BODY_ROWS]; /* as written in the stacks */
    size_t strings_len, objects_len, frames_len;
} pprof_body;

/* The number of a text in a list, from 1; it is added when it is new. */
static inline uint64_t pprof_body_number(sonde_str *list, size_t *len, sonde_str text)
{
    size_t i;

    for (i = 0; i < *len; i++)
        if (sonde_str_eq(list[i], text))
            return i + 1;
    if (*len < PPROF_BODY_ROWS)
        list[(*len)++] = text;
    return *len;
}

static inline uint64_t pprof_body_text(pprof_body *b, sonde_str text)
{
    return text.len ? pprof_body_number(b->strings, &b->strings_len, text) : 0;
}

static inline void pprof_body_begin(pprof_body *b, const char *types)
{
    sonde_str left = sonde_str_from(types);

    memset(b, 0, sizeof(*b));
    sonde_buf_init(&b->out, 1u << 20);
    while (left.len) {
        sonde_str unit = sonde_str_cut(&left, ',');
        sonde_str type = sonde_str_cut(&unit, '/');
        size_t mark = sonde_pb_begin(&b->out, 1);

        sonde_pb_varint(&b->out, 1, pprof_body_text(b, type));
        sonde_pb_varint(&b->out, 2, pprof_body_text(b, unit));
        sonde_pb_end(&b->out, mark);
    }
}

static inline void pprof_body_labels(pprof_body *b, sonde_str left)
{
    while (left.len) {
        sonde_str value = sonde_str_cut(&left, ',');
        sonde_str key = sonde_str_cut(&value, '=');
        size_t mark = sonde_pb_begin(&b->out, 3);
        uint64_t number = 0;

        sonde_pb_varint(&b->out, 1, pprof_body_text(b, key));
        if (sonde_str_starts(value, SONDE_STR("#")) &&
            sonde_parse_u64(sonde_str_sub(value, 1, value.len), &number) == SONDE_OK)
            sonde_pb_varint(&b->out, 3, number);
        else
            sonde_pb_varint(&b->out, 2, pprof_body_text(b, value));
        sonde_pb_end(&b->out, mark);
    }
}

static inline void pprof_body_sample(pprof_body *b, const char *stack, const int64_t *values,
                                     const char *labels)
{
    size_t sample = sonde_pb_begin(&b->out, 2), mark, i, len = 0;
    sonde_str frames[PPROF_BODY_ROWS], left = sonde_str_from(stack);

    while (left.len && len < PPROF_BODY_ROWS)
        frames[len++] = sonde_str_cut(&left, ';');
    while (len-- > 0) /* leaf first, one by one: the other form is that of the values */
        sonde_pb_varint(&b->out, 1, pprof_body_number(b->frames, &b->frames_len, frames[len]));
    mark = sonde_pb_begin(&b->out, 2);
    for (i = 0; values[i] >= 0; i++) {
        uint64_t v = (uint64_t)values[i];

        for (; v >= 0x80; v >>= 7)
            sonde_buf_append_byte(&b->out, (uint8_t)(v | 0x80));
        sonde_buf_append_byte(&b->out, (uint8_t)v);
    }
    sonde_pb_end(&b->out, mark);
    pprof_body_labels(b, sonde_str_from(labels));
    sonde_pb_end(&b->out, sample);
}

static inline void pprof_body_frame(pprof_body *b, uint64_t id, sonde_str text)
{
    sonde_str name = text, object = SONDE_STR("/bin/demo");
    sonde_str names[PPROF_BODY_INLINED];
    size_t at, location = sonde_pb_begin(&b->out, 4), mark, lines = 0, i;
    uint64_t address = 0;

    if (sonde_str_find(text, SONDE_STR("!"), &at)) {
        object = sonde_str_sub(text, 0, at);
        name = sonde_str_sub(text, at + 1, text.len);
    }
    sonde_pb_varint(&b->out, 1, id);
    sonde_pb_varint(&b->out, 2, pprof_body_number(b->objects, &b->objects_len, object));
    if (sonde_str_starts(name, SONDE_STR("#"))) {
        (void)sonde_parse_u64(sonde_str_sub(name, 1, name.len), &address);
        sonde_pb_varint(&b->out, 3, address);
        sonde_pb_end(&b->out, location);
        return;
    }
    if (sonde_str_find(name, SONDE_STR("@"), &at)) {
        (void)sonde_parse_u64(sonde_str_sub(name, at + 1, name.len), &address);
        sonde_pb_varint(&b->out, 3, address);
        name = sonde_str_sub(name, 0, at);
    }
    while (lines < PPROF_BODY_INLINED && name.len)
        names[lines++] = sonde_str_cut(&name, '+');
    for (i = lines; i-- > 0;) { /* innermost first */
        mark = sonde_pb_begin(&b->out, 4);
        sonde_pb_varint(&b->out, 1, id + i * PPROF_BODY_ROWS);
        sonde_pb_end(&b->out, mark);
    }
    sonde_pb_end(&b->out, location);
    for (i = 0; i < lines; i++) {
        mark = sonde_pb_begin(&b->out, 5);
        sonde_pb_varint(&b->out, 1, id + i * PPROF_BODY_ROWS);
        sonde_pb_varint(&b->out, 2, pprof_body_text(b, names[i]));
        sonde_pb_varint(&b->out, 4, pprof_body_text(b, SONDE_STR("demo.c")));
        sonde_pb_end(&b->out, mark);
    }
}

static inline void pprof_body_end(pprof_body *b)
{
    size_t i, mark;

    for (i = 0; i < b->frames_len; i++)
        pprof_body_frame(b, i + 1, b->frames[i]);
    for (i = 0; i < b->objects_len; i++) {
        mark = sonde_pb_begin(&b->out, 3);
        sonde_pb_varint(&b->out, 1, i + 1);
        sonde_pb_varint(&b->out, 5, pprof_body_text(b, b->objects[i]));
        sonde_pb_end(&b->out, mark);
    }
    sonde_pb_str_always(&b->out, 6, (sonde_str){ "", 0 });
    for (i = 0; i < b->strings_len; i++)
        sonde_pb_str_always(&b->out, 6, b->strings[i]);
}

static inline void pprof_body_done(pprof_body *b)
{
    sonde_buf_done(&b->out);
}

#endif /* SONDE_TESTS_SUPPORT_PPROF_BODY_H */
