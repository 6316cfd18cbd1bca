/* flame_read_pprof.c - tables of a pprof message, then its samples, since the tables may come behind.
 *
 * Locations stay views of the message, and are read again for each stack they are in. */
#include "flame_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/pb_read.h"

#define TYPES_MAX   64u
#define STRINGS_MAX 2097152u
#define ENTRIES_MAX 2097152u
#define VALUES_MAX  TYPES_MAX
#define STACK_MAX   FLAME_READ_DEPTH_MAX
#define LINES_MAX   64u

enum field { SAMPLE_TYPE = 1, SAMPLE, MAPPING, LOCATION, FUNCTION, STRING, DEFAULT_TYPE = 14 };

/* Something with an id. */
typedef struct entry {
    uint64_t id;
    sonde_str body;
} entry;

typedef struct entries {
    entry *all;
    uint32_t len, cap;
} entries;

typedef struct value_type {
    uint64_t type, unit; /* strings */
} value_type;

typedef struct reader {
    flame *f;
    unsigned side;
    sonde_str *strings;
    uint32_t strings_len, strings_cap;
    entries mappings, locations, functions;
    value_type types[TYPES_MAX];
    size_t types_len;
    uint64_t default_type;
    size_t value;  /* index of the column that is taken */
    size_t events; /* of the one that counts its samples; TYPES_MAX: none */
    uint64_t stack[STACK_MAX];
} reader;

/* ---- tables ---- */

static sonde_str string_at(const reader *r, uint64_t i)
{
    return i < r->strings_len ? r->strings[i] : (sonde_str){ NULL, 0 };
}

static sonde_status add_string(reader *r, sonde_str text)
{
    sonde_str *items =
        sonde_array_room(r->strings, r->strings_len, &r->strings_cap, sizeof(*items), STRINGS_MAX);

    if (!items)
        return r->strings_len == STRINGS_MAX ? SONDE_ERR_TOO_BIG : SONDE_ERR_NOMEM;
    r->strings = items;
    items[r->strings_len++] = text;
    return SONDE_OK;
}

/* Field 1 of all three kinds is their id. */
static sonde_status add_entry(entries *to, sonde_str body)
{
    entry *items = sonde_array_room(to->all, to->len, &to->cap, sizeof(*items), ENTRIES_MAX);
    sonde_pb_reader pb;

    if (!items)
        return to->len == ENTRIES_MAX ? SONDE_ERR_TOO_BIG : SONDE_ERR_NOMEM;
    to->all = items;
    items[to->len] = (entry){ 0, body };
    sonde_pb_reader_init(&pb, body.ptr, body.len);
    while (sonde_pb_next(&pb))
        if (pb.field == 1)
            items[to->len].id = sonde_pb_u64(&pb);
    to->len++;
    return pb.status;
}

static sonde_status add_type(reader *r, sonde_str body)
{
    sonde_pb_reader pb;

    if (r->types_len == TYPES_MAX)
        return SONDE_ERR_TOO_BIG;
    sonde_pb_reader_init(&pb, body.ptr, body.len);
    while (sonde_pb_next(&pb)) {
        if (pb.field == 1)
            r->types[r->types_len].type = sonde_pb_u64(&pb);
        if (pb.field == 2)
            r->types[r->types_len].unit = sonde_pb_u64(&pb);
    }
    r->types_len++;
    return pb.status;
}

static int by_id(const void *a, const void *b)
{
    const entry *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static void sort(entries *e)
{
    if (e->len)
        qsort(e->all, e->len, sizeof(*e->all), by_id);
}

/* Empty: there is none. */
static sonde_str find(const entries *e, uint64_t id)
{
    const entry key = { .id = id };
    const entry *found = e->len ? bsearch(&key, e->all, e->len, sizeof(key), by_id) : NULL;

    return found ? found->body : (sonde_str){ NULL, 0 };
}

static sonde_status read_tables(reader *r, sonde_str message)
{
    sonde_status status = SONDE_OK;
    sonde_pb_reader pb;

    sonde_pb_reader_init(&pb, message.ptr, message.len);
    while (status == SONDE_OK && sonde_pb_next(&pb)) {
        switch (pb.field) {
        case SAMPLE_TYPE:
            status = add_type(r, sonde_pb_bytes(&pb));
            break;
        case MAPPING:
            status = add_entry(&r->mappings, sonde_pb_bytes(&pb));
            break;
        case LOCATION:
            status = add_entry(&r->locations, sonde_pb_bytes(&pb));
            break;
        case FUNCTION:
            status = add_entry(&r->functions, sonde_pb_bytes(&pb));
            break;
        case STRING:
            status = add_string(r, sonde_pb_bytes(&pb));
            break;
        case DEFAULT_TYPE:
            r->default_type = sonde_pb_u64(&pb);
            break;
        default:
            break;
        }
    }
    sort(&r->mappings);
    sort(&r->locations);
    sort(&r->functions);
    return status == SONDE_OK ? pb.status : status;
}

/* ---- which column ---- */

/* TYPES_MAX: none. */
static size_t type_called(const reader *r, sonde_str name)
{
    for (size_t i = 0; i < r->types_len; i++)
        if (sonde_str_eq(string_at(r, r->types[i].type), name))
            return i;
    return TYPES_MAX;
}

/* "cpu-time" is counted in "cpu-samples"; Go's "cpu" in "samples". */
static size_t events_of(const reader *r, sonde_str type)
{
    char name[64];

    if (sonde_str_eq(type, SONDE_STR("cpu")))
        return type_called(r, SONDE_STR("samples"));
    if (sonde_str_ends(type, SONDE_STR("samples")))
        return type_called(r, type);
    if (!sonde_str_ends(type, SONDE_STR("-time")) || type.len > sizeof(name) - 8)
        return TYPES_MAX;
    memcpy(name, type.ptr, type.len - 4);
    memcpy(name + type.len - 4, "samples", 7);
    return type_called(r, (sonde_str){ name, type.len + 3 });
}

static sonde_status choose_column(reader *r, sonde_str type)
{
    r->value = type_called(r, type.len ? type : SONDE_STR("cpu-time"));
    if (r->value == TYPES_MAX && type.len == 0)
        r->value = type_called(r, SONDE_STR("cpu"));
    if (r->value == TYPES_MAX && type.len == 0)
        r->value = type_called(r, string_at(r, r->default_type));
    if (r->value == TYPES_MAX && type.len == 0)
        r->value = 0;
    if (r->value >= r->types_len)
        return type.len ? SONDE_ERR_NOT_FOUND : SONDE_ERR_SYNTAX;
    type = string_at(r, r->types[r->value].type);
    r->events = events_of(r, type);
    flame_set_type(r->f, type, string_at(r, r->types[r->value].unit));
    return SONDE_OK;
}

/* ---- samples ---- */

/* Field `field` of a message, a number; 0: not there. */
static uint64_t number_of(sonde_str body, uint32_t field)
{
    sonde_pb_reader pb;
    uint64_t n = 0;

    sonde_pb_reader_init(&pb, body.ptr, body.len);
    while (sonde_pb_next(&pb))
        if (pb.field == field)
            n = sonde_pb_u64(&pb);
    return n;
}

static sonde_str base_name(sonde_str path)
{
    const char *slash = path.len ? memrchr(path.ptr, '/', path.len) : NULL;

    return slash ? sonde_str_sub(path, (size_t)(slash - path.ptr) + 1, path.len) : path;
}

/* The names of the functions of a location, the innermost first; returns how many. */
static size_t read_lines(const reader *r, sonde_str location, sonde_str out[LINES_MAX])
{
    sonde_pb_reader pb;
    size_t len = 0;

    sonde_pb_reader_init(&pb, location.ptr, location.len);
    while (sonde_pb_next(&pb) && len < LINES_MAX)
        if (pb.field == 4)
            out[len++] =
                string_at(r, number_of(find(&r->functions, number_of(sonde_pb_bytes(&pb), 1)), 2));
    return len;
}

static uint32_t add_address(reader *r, uint32_t parent, sonde_str location, sonde_str object)
{
    sonde_buf name;
    uint32_t node;

    sonde_buf_init(&name, 4096);
    sonde_buf_printf(&name, "%.*s%s0x%llx", (int)(object.len < 512 ? object.len : 512),
                     object.len ? object.ptr : "", object.len ? "+" : "",
                     (unsigned long long)number_of(location, 3));
    node = flame_child(r->f, parent, sonde_buf_str(&name), object, false);
    sonde_buf_done(&name);
    return node;
}

static uint32_t add_location(reader *r, uint32_t parent, uint64_t id)
{
    sonde_str location = find(&r->locations, id), lines[LINES_MAX];
    sonde_str object =
        base_name(string_at(r, number_of(find(&r->mappings, number_of(location, 2)), 5)));
    size_t len = read_lines(r, location, lines);

    if (len == 0)
        return add_address(r, parent, location, object);
    for (size_t i = len; i-- > 0;)
        parent = flame_child(r->f, parent, lines[i], object, i + 1 < len);
    return parent;
}

/* Numbers one by one, or packed: as many as there is room for. */
static void append_numbers(const sonde_pb_reader *pb, uint64_t *out, size_t *len, size_t max)
{
    const uint8_t *at = (const uint8_t *)pb->bytes.ptr, *end = at ? at + pb->bytes.len : NULL;

    if (pb->wire != 2) {
        if (*len < max)
            out[(*len)++] = pb->scalar;
        return;
    }
    while (at < end && *len < max) {
        uint64_t n = 0;
        unsigned shift = 0;

        do
            n |= shift < 64 ? (uint64_t)(*at & 0x7f) << shift : 0;
        while (*at++ & 0x80 && at < end && (shift += 7) < 70);
        out[(*len)++] = n;
    }
}

static int64_t value_at(const uint64_t *values, size_t len, size_t i)
{
    int64_t v = i < len ? (int64_t)values[i] : 0;

    return v > 0 ? v : 0;
}

static sonde_status read_sample(reader *r, sonde_str body)
{
    uint64_t values[VALUES_MAX];
    size_t values_len = 0, depth = 0;
    uint32_t node = 0;
    sonde_pb_reader pb;
    int64_t value;

    sonde_pb_reader_init(&pb, body.ptr, body.len);
    while (sonde_pb_next(&pb)) {
        if (pb.field == 1)
            append_numbers(&pb, r->stack, &depth, STACK_MAX);
        if (pb.field == 2)
            append_numbers(&pb, values, &values_len, VALUES_MAX);
    }
    value = value_at(values, values_len, r->value);
    if (pb.status != SONDE_OK || value == 0)
        return pb.status;
    while (depth-- > 0)
        node = add_location(r, node, r->stack[depth]);
    flame_count(r->f, node, r->side, value,
                r->events < TYPES_MAX ? value_at(values, values_len, r->events) : 0);
    return SONDE_OK;
}

static sonde_status read_samples(reader *r, sonde_str message)
{
    sonde_status status = SONDE_OK;
    sonde_pb_reader pb;

    sonde_pb_reader_init(&pb, message.ptr, message.len);
    while (status == SONDE_OK && sonde_pb_next(&pb))
        if (pb.field == SAMPLE)
            status = read_sample(r, sonde_pb_bytes(&pb));
    return status;
}

sonde_status flame_read_pprof(flame *f, sonde_str message, sonde_str type, unsigned side)
{
    reader *r = sonde_calloc(1, sizeof(*r));
    sonde_status status = SONDE_ERR_NOMEM;

    if (!r)
        return status;
    r->f = f;
    r->side = side;
    status = read_tables(r, message);
    if (status == SONDE_OK)
        status = choose_column(r, type);
    if (status == SONDE_OK)
        status = read_samples(r, message);
    sonde_free(r->strings);
    sonde_free(r->mappings.all);
    sonde_free(r->locations.all);
    sonde_free(r->functions.all);
    sonde_free(r);
    return status;
}
