/* v10.h - what the three files of the v1.0 decoder share: texts by number, values of any type.
 *
 * A text stands in the body where it first occurs and is a number from then on.  The table compares what was
 * sent, not what became of it: two texts that are repaired to the same one keep their own numbers.
 *
 * Threads   none.
 * Memory    the table and the scratch are the decoder's own and go with it; what a span keeps is in the arena.
 * Bounds    V10_TEXTS_MAX texts, SPAN_ENTRIES_MAX attributes, V10_DEPTH_MAX levels of values.
 */
#ifndef SONDE_AGENT_RECEIVER_V10_H
#define SONDE_AGENT_RECEIVER_V10_H

#include "codec/json_write.h"
#include "decoder.h"

#define V10_HEADER_MAX 25000000u /* Datadog's bound of every header */
#define V10_TEXTS_MAX  262144u   /* of one payload; more: decoded_too_big */
#define V10_DEPTH_MAX  32

typedef struct v10_text {
    sonde_str text; /* UTF-8 */
    sonde_str raw;  /* as it was sent */
} v10_text;

typedef struct v10_attr {
    sonde_str key; /* first: decode_map */
    span_any value;
    bool is_bytes; /* value.str is opaque */
} v10_attr;

typedef struct v10 {
    decoder d;
    v10_text *texts; /* owned, as the next three */
    uint32_t *slots; /* number of a text by the hash of its raw form; 0: free */
    v10_attr *attrs; /* of the map read last */
    uint64_t seen;   /* a bit per hash of its keys: no bit, no such key */
    sonde_buf json;
    uint32_t texts_len;
    uint32_t texts_cap;
    uint32_t slots_mask;
    uint32_t attrs_cap;
    uint64_t seed;
    uint64_t bad_number; /* that no text has, for the message */
    bool is_bad;
} v10;

/* v10_texts.c */
bool v10_texts_init(v10 *v); /* number 0 is "" */
void v10_texts_done(v10 *v);
bool v10_read_list(v10 *v); /* the list of texts a payload may begin with */
bool v10_read_text_slow(v10 *v, sonde_str *out);

/* A text or the number of one. */
static inline bool v10_read_text(v10 *v, sonde_str *out)
{
    const uint8_t *at = v->d.r.at;
    uint32_t number, head;

    if (v->d.r.end - at < 3)
        return v10_read_text_slow(v, out);
    if (at[0] < 0x80) {
        head = 1;
        number = at[0];
    } else if (at[0] == 0xcc) {
        head = 2;
        number = at[1];
    } else if (at[0] == 0xcd) {
        head = 3;
        number = (uint32_t)at[1] << 8 | at[2];
    } else {
        return v10_read_text_slow(v, out);
    }
    if (number >= v->texts_len)
        return v10_read_text_slow(v, out);
    *out = v->texts[number].text;
    v->d.r.at = at + head;
    return true;
}

/* v10_values.c */
typedef enum v10_arrays {
    V10_ARRAYS_AS_JSON, /* tags have no arrays */
    V10_ARRAYS_OF_ANY,  /* events do; what is nested deeper is JSON all the same */
} v10_arrays;

/* A map of attributes into v->attrs, each key once, the last one counting. */
bool v10_read_attrs(v10 *v, v10_arrays arrays, uint32_t *out_len);

/* What an attribute is as a text; numbers in their shortest form. */
bool v10_text_of(v10 *v, const v10_attr *a, sonde_str *out);

/* A map of attributes as tags. */
bool v10_read_tags(v10 *v, span_meta **out_tags, uint32_t *out_len);

/* An array header of at most `max` elements. */
bool v10_read_header(v10 *v, uint32_t max, uint32_t *out_count);
bool v10_read_u32(v10 *v, uint32_t *out);

#endif /* SONDE_AGENT_RECEIVER_V10_H */
