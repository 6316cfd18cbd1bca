/* wire_span.c - fields are looked for where the encoder puts them, and found elsewhere too. */
#include "wire_span.h"

#include <stddef.h>
#include <string.h>

typedef enum field_kind { FIELD_STR, FIELD_U64, FIELD_MAP, FIELD_RAW } field_kind;

typedef struct field {
    sonde_str name;
    field_kind kind;
    size_t at;
} field;

#define FIELD(name, kind, member)                                                                  \
    {                                                                                              \
        { name, sizeof(name) - 1 }, kind, offsetof(sonde__wire_span, member)                       \
    }

static const field fields[] = {
    FIELD("service", FIELD_STR, service),
    FIELD("name", FIELD_STR, name),
    FIELD("resource", FIELD_STR, resource),
    FIELD("type", FIELD_STR, type),
    FIELD("trace_id", FIELD_U64, trace_id),
    FIELD("span_id", FIELD_U64, span_id),
    FIELD("parent_id", FIELD_U64, parent_id),
    FIELD("start", FIELD_U64, start_unix_ns),
    FIELD("duration", FIELD_U64, duration_ns),
    FIELD("error", FIELD_U64, error),
    FIELD("meta", FIELD_MAP, meta),
    FIELD("metrics", FIELD_MAP, metrics),
    FIELD("meta_struct", FIELD_MAP, structs),
    FIELD("span_links", FIELD_RAW, links),
    FIELD("span_events", FIELD_RAW, events),
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static const field *find_field(sonde_str name, size_t likely)
{
    size_t i;

    if (likely < FIELDS && sonde_str_eq(name, fields[likely].name))
        return &fields[likely];
    for (i = 0; i < FIELDS; i++)
        if (sonde_str_eq(name, fields[i].name))
            return &fields[i];
    return NULL;
}

/* Steps over a value; short texts and doubles, which nearly all are, without a call. */
static inline bool step(sonde_mp_reader *r)
{
    size_t left = sonde_mp_left(r);
    size_t bytes = 0;

    if (left > 0 && (*r->at & 0xe0) == 0xa0)
        bytes = 1 + (size_t)(*r->at & 0x1f);
    else if (left > 0 && *r->at == 0xcb)
        bytes = 9;
    if (bytes == 0 || bytes > left)
        return sonde_mp_skip(r);
    r->at += bytes;
    return true;
}

/* Reads a map and steps over its entries; false: not a map. */
static bool read_map(sonde_mp_reader *r, sonde__wire_map *out)
{
    uint32_t i;

    if (!sonde_mp_read_map(r, &out->len))
        return false;
    out->at = *r;
    for (i = 0; i < 2 * out->len; i++)
        if (!step(r))
            return false;
    return true;
}

static bool read_field(sonde_mp_reader *r, const field *f, sonde__wire_span *out)
{
    void *to = (char *)out + f->at;

    switch (f->kind) {
    case FIELD_STR:
        return sonde_mp_read_str(r, (sonde_str *)to);
    case FIELD_U64:
        return sonde_mp_read_u64(r, (uint64_t *)to);
    case FIELD_RAW:
        return sonde_mp_read_raw(r, (sonde_str *)to);
    default:
        return read_map(r, (sonde__wire_map *)to);
    }
}

bool sonde__wire_span_read(sonde_mp_reader *r, sonde__wire_span *out)
{
    uint32_t len, i;

    memset(out, 0, sizeof(*out));
    if (!sonde_mp_read_map(r, &len))
        return false;
    for (i = 0; i < len; i++) {
        const field *f;
        sonde_str name;

        if (!sonde_mp_read_str(r, &name))
            return false;
        f = find_field(name, i);
        if (f ? !read_field(r, f, out) : !sonde_mp_skip(r))
            return false;
    }
    return true;
}

bool sonde__wire_link_read(sonde_mp_reader *r, sonde__wire_link *out)
{
    uint32_t members = 0;
    sonde_str key;

    memset(out, 0, sizeof(*out));
    if (!sonde_mp_read_map(r, &members))
        return false;
    for (; members > 0 && sonde_mp_read_str(r, &key); members--) {
        if (sonde_str_eq(key, SONDE_STR("trace_id")))
            (void)sonde_mp_read_u64(r, &out->trace_id);
        else if (sonde_str_eq(key, SONDE_STR("trace_id_high")))
            (void)sonde_mp_read_u64(r, &out->trace_id_high);
        else if (sonde_str_eq(key, SONDE_STR("span_id")))
            (void)sonde_mp_read_u64(r, &out->span_id);
        else if (sonde_str_eq(key, SONDE_STR("flags")))
            (void)sonde_mp_read_u64(r, &out->flags);
        else if (sonde_str_eq(key, SONDE_STR("tracestate")))
            (void)sonde_mp_read_str(r, &out->tracestate);
        else if (sonde_str_eq(key, SONDE_STR("attributes")))
            (void)read_map(r, &out->attributes);
        else
            (void)sonde_mp_skip(r);
    }
    return r->status == SONDE_OK;
}
