/* collector.c - payloads into spans that can be looked at. */
#include "collector.h"

#include <stdatomic.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/format.h"
#include "base/hex.h"
#include "base/mutex.h"
#include "codec/json_write.h"
#include "codec/msgpack_read.h"
#include "vocab/tags.h"

#include "wire_span.h"

typedef struct item {
    sonde_test_span span; /* first: what the program is given */
    sonde__wire_span wire;
    struct item *next;
} item;

static sonde_mutex mu = SONDE_MUTEX_INIT(SONDE_RANK_POOL);
static _Atomic bool is_open;
static sonde_arena memory; /* guarded by mu, as all below */
static item *first, *last;
static uint32_t count;

static void forget_locked(void)
{
    first = last = NULL;
    count = 0;
}

void sonde__collector_open(void)
{
    sonde_mutex_lock(&mu);
    sonde_arena_init(&memory, SONDE__COLLECTOR_MAX_BYTES);
    forget_locked();
    atomic_store_explicit(&is_open, true, memory_order_release);
    sonde_mutex_unlock(&mu);
}

void sonde__collector_close(void)
{
    sonde_mutex_lock(&mu);
    if (atomic_exchange_explicit(&is_open, false, memory_order_acq_rel))
        sonde_arena_done(&memory);
    forget_locked();
    sonde_mutex_unlock(&mu);
}

void sonde__collector_clear(void)
{
    sonde_mutex_lock(&mu);
    if (sonde__collector_is_open())
        sonde_arena_reset(&memory);
    forget_locked();
    sonde_mutex_unlock(&mu);
}

bool sonde__collector_is_open(void)
{
    return atomic_load_explicit(&is_open, memory_order_acquire);
}

/* -- as JSON -------------------------------------------------------------------------------------- */

static void write_json(sonde_json_writer *w, sonde_mp_reader *r);

static void write_json_map(sonde_json_writer *w, sonde_mp_reader *r)
{
    uint32_t members = 0;
    sonde_str key;

    (void)sonde_mp_read_map(r, &members);
    sonde_json_begin_object(w);
    while (members-- > 0 && sonde_mp_read_str(r, &key)) {
        sonde_json_key(w, key);
        write_json(w, r);
    }
    sonde_json_end_object(w);
}

static void write_json_array(sonde_json_writer *w, sonde_mp_reader *r)
{
    uint32_t items = 0;

    (void)sonde_mp_read_array(r, &items);
    sonde_json_begin_array(w);
    while (items-- > 0)
        write_json(w, r);
    sonde_json_end_array(w);
}

/* Of what the encoder writes; it nests five deep at most. */
static void write_json(sonde_json_writer *w, sonde_mp_reader *r)
{
    sonde_str text = { NULL, 0 };
    uint64_t number = 0;
    int64_t integer = 0;
    double real = 0;
    bool truth = false;

    switch (sonde_mp_peek(r)) {
    case SONDE_MP_MAP:
        write_json_map(w, r);
        return;
    case SONDE_MP_ARRAY:
        write_json_array(w, r);
        return;
    case SONDE_MP_STR:
        (void)sonde_mp_read_str(r, &text);
        sonde_json_str(w, text);
        return;
    case SONDE_MP_UINT:
        (void)sonde_mp_read_u64(r, &number);
        sonde_json_u64(w, number);
        return;
    case SONDE_MP_INT:
        (void)sonde_mp_read_i64(r, &integer);
        sonde_json_i64(w, integer);
        return;
    case SONDE_MP_DOUBLE:
        (void)sonde_mp_read_double(r, &real);
        sonde_json_double(w, real);
        return;
    case SONDE_MP_BOOL:
        (void)sonde_mp_read_bool(r, &truth);
        sonde_json_bool(w, truth);
        return;
    default:
        (void)sonde_mp_skip(r);
        sonde_json_null(w);
    }
}

static const char *json_of(sonde_str packed)
{
    sonde_json_writer w;
    sonde_mp_reader r;
    sonde_buf b;
    const char *text;

    sonde_buf_init(&b, SONDE__COLLECTOR_MAX_BYTES);
    sonde_json_writer_init(&w, &b);
    sonde_mp_reader_init(&r, packed.ptr, packed.len);
    write_json(&w, &r);
    text = b.status == SONDE_OK ? sonde_arena_copy(&memory, sonde_buf_str(&b)).ptr : NULL;
    sonde_buf_done(&b);
    return text;
}

/* -- taking --------------------------------------------------------------------------------------- */

static bool find(const sonde__wire_map *map, sonde_str key, sonde_mp_reader *out_value)
{
    sonde_mp_reader r = map->at;
    sonde_str name;
    uint32_t i;

    for (i = 0; i < map->len && sonde_mp_read_str(&r, &name); i++) {
        *out_value = r;
        if (sonde_str_eq(name, key))
            return true;
        (void)sonde_mp_skip(&r);
    }
    return false;
}

static uint64_t high_half(const sonde__wire_span *wire)
{
    sonde_mp_reader value;
    uint64_t high = 0;
    sonde_str hex;

    if (find(&wire->meta, SONDE_STR(SONDE_TAG_TID), &value) && sonde_mp_read_str(&value, &hex))
        (void)sonde_hex_parse_u64(hex, 0, &high);
    return high;
}

/* How many elements the array `key` of the packed span has. */
static uint32_t count_of(sonde_str packed, sonde_str key)
{
    uint32_t members = 0, n = 0;
    sonde_mp_reader r;
    sonde_str name;

    sonde_mp_reader_init(&r, packed.ptr, packed.len);
    (void)sonde_mp_read_map(&r, &members);
    while (members-- > 0 && sonde_mp_read_str(&r, &name)) {
        if (sonde_str_eq(name, key))
            return sonde_mp_read_array(&r, &n) ? n : 0;
        (void)sonde_mp_skip(&r);
    }
    return 0;
}

static const char *text_of(sonde_str text)
{
    return sonde_arena_copy(&memory, text).ptr;
}

static item *take_span_locked(sonde_mp_reader *r, uint64_t *trace_id_high, bool is_first)
{
    item *it = (item *)sonde_arena_zalloc(&memory, 1, sizeof(*it));
    sonde_mp_reader from = *r;
    sonde_str packed;

    if (!it || !sonde_mp_read_raw(&from, &packed) || !sonde__wire_span_read(r, &it->wire))
        return NULL;
    if (is_first)
        *trace_id_high = high_half(&it->wire);
    it->span = (sonde_test_span){
        .service = text_of(it->wire.service),
        .name = text_of(it->wire.name),
        .resource = text_of(it->wire.resource),
        .type = text_of(it->wire.type),
        .json = json_of(packed),
        .trace_id_high = *trace_id_high,
        .trace_id_low = it->wire.trace_id,
        .span_id = it->wire.span_id,
        .parent_id = it->wire.parent_id,
        .start_unix_ns = (int64_t)it->wire.start_unix_ns,
        .duration_ns = it->wire.duration_ns,
        .error = (int32_t)it->wire.error,
        .links = count_of(packed, SONDE_STR("span_links")),
        .events = count_of(packed, SONDE_STR("span_events")),
    };
    return it->span.service && it->span.name && it->span.resource && it->span.type && it->span.json
               ? it
               : NULL;
}

static void enter_locked(item *it)
{
    if (last)
        last->next = it;
    else
        first = it;
    last = it;
    count++;
}

static bool take_locked(sonde_str body)
{
    item *was_last = last;
    uint32_t was_count = count;
    uint32_t chunks = 0, spans = 0, i, j;
    uint64_t trace_id_high = 0;
    sonde_mp_reader r;

    body = sonde_arena_copy(&memory, body); /* what the views point into */
    sonde_mp_reader_init(&r, body.ptr, body.len);
    if (!body.ptr || !sonde_mp_read_array(&r, &chunks))
        return false;
    for (i = 0; i < chunks && sonde_mp_read_array(&r, &spans); i++) {
        for (j = 0; j < spans; j++) {
            item *it = take_span_locked(&r, &trace_id_high, j == 0);

            if (it) {
                enter_locked(it);
                continue;
            }
            last = was_last; /* all of it, or nothing */
            count = was_count;
            if (last)
                last->next = NULL;
            else
                first = NULL;
            return false;
        }
    }
    return true;
}

bool sonde__collector_take(sonde_str body)
{
    bool taken;

    sonde_mutex_lock(&mu);
    taken = sonde__collector_is_open() && take_locked(body);
    sonde_mutex_unlock(&mu);
    return taken;
}

/* -- looking -------------------------------------------------------------------------------------- */

uint32_t sonde__collector_count(void)
{
    uint32_t n;

    sonde_mutex_lock(&mu);
    n = count;
    sonde_mutex_unlock(&mu);
    return n;
}

const sonde_test_span *sonde__collector_at(uint32_t index)
{
    const item *it;

    sonde_mutex_lock(&mu);
    for (it = first; it && index > 0; index--)
        it = it->next;
    sonde_mutex_unlock(&mu);
    return it ? &it->span : NULL;
}

const char *sonde__collector_tag(const sonde_test_span *span, sonde_str key)
{
    const item *it = (const item *)(const void *)span;
    char digits[SONDE_DOUBLE_MAX_LEN];
    const char *text = NULL;
    sonde_mp_reader value;
    sonde_str found;
    double number;

    sonde_mutex_lock(&mu);
    if (find(&it->wire.meta, key, &value) && sonde_mp_read_str(&value, &found))
        text = text_of(found);
    else if (find(&it->wire.metrics, key, &value) && sonde_mp_read_double(&value, &number))
        text = text_of((sonde_str){ digits, sonde_format_double(number, digits) });
    sonde_mutex_unlock(&mu);
    return text;
}
