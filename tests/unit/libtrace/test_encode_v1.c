/* test_encode_v1.c - bytes by hand from docs/spec/agent-http.md; and that v0.4, v0.5 and v1 say the same,
 * each taken apart with msgpack-c's unpacker. */
#include "support/test.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "codec/msgpack_write.h"
#include "libtrace/src/encode_v05.h"
#include "libtrace/src/encode_v1.h"
#include "support/alloc_fail.h"
#include "support/golden.h"

static sonde__config make_config(void)
{
    sonde__config c = { .language = SONDE_STR("c"), .tracer_version = SONDE_STR("1.2") };

    c.env = SONDE_STR("prod");
    c.process_tags = SONDE_STR("a:b");
    return c;
}

static const char runtime_id[37] = "r"; /* short, for the bytes below */

/* -- bytes ---------------------------------------------------------------------------------------- */

/* meta: env prod, span.kind client, a b, _dd.origin o, _dd.p.dm -4, _dd.p.tid 6740000000000000,
 * _dd.tags.process a:b; metrics: m 1, _sampling_priority_v1 2 */
static const char one_span[] =
    "91 8c"
    "a7 73657276696365 a1 73  a4 6e616d65 a1 6e  a8 7265736f75726365 a1 6e  a4 74797065 a0"
    "a8 74726163655f6964 01  a7 7370616e5f6964 02  a9 706172656e745f6964 00"
    "a5 7374617274 0a  a8 6475726174696f6e 05  a5 6572726f72 01"
    "a4 6d657461 87  a3 656e76 a4 70726f64  a9 7370616e2e6b696e64 a6 636c69656e74  a1 61 a1 62"
    "  aa 5f64642e6f726967696e a1 6f  a8 5f64642e702e646d a2 2d34"
    "  a9 5f64642e702e746964 b0 36373430303030303030303030303030"
    "  b0 5f64642e746167732e70726f63657373 a3 613a62"
    "a7 6d657472696373 82  a1 6d cb 3ff0000000000000"
    "b5 5f73616d706c696e675f7072696f726974795f7631 cb 4000000000000000";

/* texts: 1 "c", 2 "201112", 3 "1.2", 4 "r", 5 "prod", 6 "_dd.tags.process", 7 "a:b", 8 "o", 9 "s", 10 "n",
 * 11 "a", 12 "b", 13 "m" */
static const char payload_head[] = "87 03 a163 04 a6323031313132 05 a3312e32 06 a172 07 a470726f64"
                                   "0a 93 b0 5f64642e746167732e70726f63657373 01 a3613a62 0b";

static const char first_chunk[] =
    "85 01 02  02 a16f  06 c410 67400000000000000000000000000001  07 04  04 91"
    "8a 01 a173 02 a16e 03 0a 04 02 06 0a 07 05 08 c3 0d 05 10 03"
    "   09 96 a161 01 a162  a16d 03 cb3ff0000000000000";

static const char second_chunk[] =
    "85 01 02  02 08  06 c410 67400000000000000000000000000001  07 04  04 91"
    "8a 01 09 02 0a 03 0a 04 02 06 0a 07 05 08 c3 0d 05 10 03"
    "   09 96 0b 01 0c  0d 03 cb3ff0000000000000";

static void assert_body(sonde__v1 *v, const char *chunks_head, const char *rest)
{
    char text[2000];
    sonde_str got = sonde__v1_body(v, rest[0] ? 2 : 1);
    sonde_buf want;

    (void)snprintf(text, sizeof(text), "%s %s %s %s", payload_head, chunks_head, first_chunk, rest);
    golden_bytes(text, &want);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.ptr, want.data, want.len);
    sonde_buf_done(&want);
}

static void test_a_chunk_is_written_as_in_the_specification(void **state)
{
    sonde__config config = make_config();
    sonde_buf chunk;
    sonde__v1 v;

    (void)state;
    golden_bytes(one_span, &chunk);
    assert_status(sonde__v1_open(&v, &config, runtime_id, "", 1u << 16), SONDE_OK);
    assert_status(sonde__v1_add(&v, sonde_buf_str(&chunk)), SONDE_OK);
    assert_body(&v, "dd00000001", "");
    assert_status(sonde__v1_add(&v, sonde_buf_str(&chunk)), SONDE_OK);
    assert_body(&v, "dd00000002", second_chunk);
    sonde__v1_reset(&v);
    assert_status(sonde__v1_add(&v, sonde_buf_str(&chunk)),
                  SONDE_OK); /* the table is empty again */
    assert_body(&v, "dd00000001", "");
    sonde__v1_close(&v);
    sonde_buf_done(&chunk);
}

static void test_a_payload_says_where_it_comes_from(void **state)
{
    sonde__config config = make_config();
    sonde_buf want;
    sonde_str got;
    sonde__v1 v;

    (void)state;
    config.hostname = SONDE_STR("h");
    config.report_hostname = true;
    config.version = SONDE_STR("7");
    config.process_tags = SONDE_STR("");
    golden_bytes("89 02 a26964 03 a163 04 a6323031313132 05 a3312e32 06 a172 07 a470726f64"
                 "08 a168 09 a137 0b dd00000000",
                 &want);
    assert_status(sonde__v1_open(&v, &config, runtime_id, "id", 1u << 16), SONDE_OK);
    got = sonde__v1_body(&v, 0);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.ptr, want.data, want.len);
    sonde__v1_close(&v);
    sonde_buf_done(&want);
}

static void test_links_and_events_keep_their_types(void **state)
{
    sonde__config config = make_config();
    sonde_buf chunk, want;
    sonde__v1 v;
    sonde_str got;

    (void)state;
    golden_bytes("91 82 aa 7370616e5f6c696e6b73 91"
                 "  85 a8 74726163655f6964 0f ad 74726163655f69645f68696768 01 a7 7370616e5f6964 02"
                 "     aa 61747472696275746573 81 a1 6b a1 76  a5 666c616773 ce80000001"
                 "ab 7370616e5f6576656e7473 91"
                 "  83 a4 6e616d65 a1 65 ae 74696d655f756e69785f6e616e6f 09"
                 "     aa 61747472696275746573 84"
                 "     a1 62 82 a4 74797065 01 aa 626f6f6c5f76616c7565 c3"
                 "     a1 69 82 a4 74797065 02 a9 696e745f76616c7565 ff"
                 "     a1 64 82 a4 74797065 03 ac 646f75626c655f76616c7565 cb3ff0000000000000"
                 "     a1 6c 82 a4 74797065 04 ab 61727261795f76616c7565 81 a6 76616c756573 92"
                 "        82 a4 74797065 00 ac 737472696e675f76616c7565 a1 6b"
                 "        82 a4 74797065 00 ac 737472696e675f76616c7565 a0",
                 &chunk);
    golden_bytes(
        "83 01 00 06 c410 00000000000000000000000000000000 04 91"
        "82 0b 91 84 01 c410 0000000000000001000000000000000f 02 02 03 93 a16b 01 a176"
        "               05 ce80000001"
        "   0c 91 83 02 a165 01 09 03 9c a162 02 c3  a169 04 ff  a164 03 cb3ff0000000000000"
        "               a16c 06 94 01 08 01 00",
        &want);
    assert_status(sonde__v1_open(&v, &config, runtime_id, "", 1u << 16), SONDE_OK);
    assert_status(sonde__v1_add(&v, sonde_buf_str(&chunk)), SONDE_OK);
    got = sonde__v1_body(&v, 1);
    assert_true(got.len > want.len);
    assert_memory_equal(got.ptr + got.len - want.len, want.data, want.len);
    sonde__v1_close(&v);
    sonde_buf_done(&chunk);
    sonde_buf_done(&want);
}

static void test_structured_values_are_bytes(void **state)
{
    sonde__config config = make_config();
    sonde_buf chunk, want;
    sonde__v1 v;
    sonde_str got;

    (void)state;
    golden_bytes("91 82 a7 7370616e5f6964 02 ab 6d6574615f737472756374 81 a1 6b c6 00000002 9101",
                 &chunk);
    golden_bytes("83 01 00 06 c410 00000000000000000000000000000000 04 91"
                 "82 04 02 09 93 a16b 05 c6 00000002 9101",
                 &want);
    assert_status(sonde__v1_open(&v, &config, runtime_id, "", 1u << 16), SONDE_OK);
    assert_status(sonde__v1_add(&v, sonde_buf_str(&chunk)), SONDE_OK);
    got = sonde__v1_body(&v, 1);
    assert_true(got.len > want.len);
    assert_memory_equal(got.ptr + got.len - want.len, want.data, want.len);
    sonde__v1_close(&v);
    sonde_buf_done(&chunk);
    sonde_buf_done(&want);
}

/* -- the same meaning: each form becomes the same lines ----------------------------------------------- */

typedef struct lines {
    char *line[4096];
    size_t len;
} lines;

__attribute__((format(printf, 2, 3))) static void say(lines *l, const char *format, ...)
{
    char text[1000];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert_true(l->len < COUNT_OF(l->line));
    l->line[l->len++] = strdup(text);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void assert_same_lines(lines *a, lines *b)
{
    size_t i;

    qsort(a->line, a->len, sizeof(a->line[0]), compare_lines);
    qsort(b->line, b->len, sizeof(b->line[0]), compare_lines);
    for (i = 0; i < a->len && i < b->len; i++)
        assert_string_equal(a->line[i], b->line[i]);
    assert_int_equal(a->len, b->len);
}

static void forget(lines *l)
{
    while (l->len > 0)
        free(l->line[--l->len]);
}

#define OBJ_STR(o) str_len(o), (o)->via.str.ptr /* the argument twice: nothing that has an effect */

static int str_len(const msgpack_object *o)
{
    return (int)o->via.str.size;
}

static const msgpack_object *member(const msgpack_object *map, const char *key)
{
    uint32_t i;

    for (i = 0; i < map->via.map.size; i++)
        if (map->via.map.ptr[i].key.via.str.size == strlen(key) &&
            memcmp(map->via.map.ptr[i].key.via.str.ptr, key, strlen(key)) == 0)
            return &map->via.map.ptr[i].val;
    return NULL;
}

static void say_v04(lines *l, const msgpack_object *chunk)
{
    static const char *const texts[] = { "service", "name", "resource", "type" };
    static const char *const numbers[] = { "trace_id", "span_id",  "parent_id",
                                           "start",    "duration", "error" };
    uint32_t i, j;

    for (i = 0; i < chunk->via.array.size; i++) {
        const msgpack_object *span = &chunk->via.array.ptr[i];
        const msgpack_object *meta = member(span, "meta");
        const msgpack_object *metrics = member(span, "metrics");

        for (j = 0; j < COUNT_OF(texts); j++)
            say(l, "%u %s %.*s", i, texts[j], OBJ_STR(member(span, texts[j])));
        for (j = 0; j < COUNT_OF(numbers); j++)
            say(l, "%u %s %" PRIu64, i, numbers[j], member(span, numbers[j])->via.u64);
        for (j = 0; j < meta->via.map.size; j++)
            say(l, "%u meta %.*s=%.*s", i, OBJ_STR(&meta->via.map.ptr[j].key),
                OBJ_STR(&meta->via.map.ptr[j].val));
        for (j = 0; j < metrics->via.map.size; j++)
            say(l, "%u metric %.*s=%.17g", i, OBJ_STR(&metrics->via.map.ptr[j].key),
                metrics->via.map.ptr[j].val.via.f64);
    }
}

static void say_v05(lines *l, const msgpack_object *body)
{
    static const struct {
        const char *name;
        int at;
    } texts[] = { { "service", 0 }, { "name", 1 }, { "resource", 2 }, { "type", 11 } },
      numbers[] = { { "trace_id", 3 }, { "span_id", 4 },  { "parent_id", 5 },
                    { "start", 6 },    { "duration", 7 }, { "error", 8 } };
    const msgpack_object *text = body->via.array.ptr[0].via.array.ptr;
    const msgpack_object *chunk = &body->via.array.ptr[1].via.array.ptr[0];
    uint32_t i, j;

    for (i = 0; i < chunk->via.array.size; i++) {
        const msgpack_object *field = chunk->via.array.ptr[i].via.array.ptr;

        for (j = 0; j < COUNT_OF(texts); j++)
            say(l, "%u %s %.*s", i, texts[j].name, OBJ_STR(&text[field[texts[j].at].via.u64]));
        for (j = 0; j < COUNT_OF(numbers); j++)
            say(l, "%u %s %" PRIu64, i, numbers[j].name, field[numbers[j].at].via.u64);
        for (j = 0; j < field[9].via.map.size; j++)
            say(l, "%u meta %.*s=%.*s", i, OBJ_STR(&text[field[9].via.map.ptr[j].key.via.u64]),
                OBJ_STR(&text[field[9].via.map.ptr[j].val.via.u64]));
        for (j = 0; j < field[10].via.map.size; j++)
            say(l, "%u metric %.*s=%.17g", i, OBJ_STR(&text[field[10].via.map.ptr[j].key.via.u64]),
                field[10].via.map.ptr[j].val.via.f64);
    }
}

/* A reader of v1 in reading order, as a streaming decoder meets the texts. */
typedef struct v1_reader {
    lines *out;
    const msgpack_object *text[4096]; /* 0 is "" */
    uint32_t texts;
    msgpack_object empty;
} v1_reader;

static const msgpack_object *text_of(v1_reader *r, const msgpack_object *o)
{
    if (o->type == MSGPACK_OBJECT_STR) {
        assert_true(o->via.str.size > 0);
        r->text[r->texts++] = o;
        return o;
    }
    assert_int_equal(o->type, MSGPACK_OBJECT_POSITIVE_INTEGER);
    assert_true(o->via.u64 < r->texts);
    return r->text[o->via.u64];
}

static uint64_t v1_be64(const char *p)
{
    uint64_t v = 0;
    int i;

    for (i = 0; i < 8; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

/* What the chunk says of its spans, said as v0.4 does. */
typedef struct v1_chunk {
    int64_t priority;
    const msgpack_object *origin;
    uint64_t trace_id_high, trace_id;
    uint64_t mechanism;
} v1_chunk;

static const char *const kinds[] = { "", "internal", "server", "client", "producer", "consumer" };

static void say_text(v1_reader *r, uint32_t span, const msgpack_object *key,
                     const msgpack_object *value)
{
    const msgpack_object *text = text_of(r, value);

    say(r->out, "%u meta %.*s=%.*s", span, OBJ_STR(key), OBJ_STR(text));
}

static void say_v1_attributes(v1_reader *r, uint32_t span, const msgpack_object *a)
{
    uint32_t i;

    assert_int_equal(a->via.array.size % 3, 0);
    for (i = 0; i < a->via.array.size; i += 3) {
        const msgpack_object *key = text_of(r, &a->via.array.ptr[i]);
        const msgpack_object *value = &a->via.array.ptr[i + 2];

        if (a->via.array.ptr[i + 1].via.u64 == 1)
            say_text(r, span, key, value);
        else
            say(r->out, "%u metric %.*s=%.17g", span, OBJ_STR(key), value->via.f64);
    }
}

static void say_v1_span(v1_reader *r, uint32_t i, const msgpack_object *span, const v1_chunk *c)
{
    static const char *const names[] = { NULL,      "service",   "name",    "resource",
                                         "span_id", "parent_id", "start",   "duration",
                                         "error",   NULL,        "type",    NULL,
                                         NULL,      "env",       "version", "component" };
    uint64_t seen = 0;
    uint32_t j;

    for (j = 0; j < span->via.map.size; j++) {
        uint64_t key = span->via.map.ptr[j].key.via.u64;
        const msgpack_object *value = &span->via.map.ptr[j].val;

        assert_false(seen >> key & 1);
        seen |= UINT64_C(1) << key;
        if ((key >= 13 && key <= 15) || key <= 3 || key == 10) {
            const msgpack_object *text = text_of(r, value);

            say(r->out, key >= 13 ? "%u meta %s=%.*s" : "%u %s %.*s", i, names[key], OBJ_STR(text));
        } else if (key == 8)
            say(r->out, "%u error %u", i, value->via.boolean);
        else if (key < 8)
            say(r->out, "%u %s %" PRIu64, i, names[key], value->via.u64);
        else if (key == 16)
            say(r->out, "%u meta span.kind=%s", i, kinds[value->via.u64]);
        else
            say_v1_attributes(r, i, value);
    }
    for (j = 1; j <= 10; j++)
        if (!(seen >> j & 1) && names[j])
            say(r->out, j <= 3 || j == 10 ? "%u %s " : "%u %s 0", i, names[j]);
    say(r->out, "%u trace_id %" PRIu64, i, c->trace_id);
    say(r->out, "%u meta _dd.origin=%.*s", i, OBJ_STR(c->origin));
    if (i > 0)
        return;
    say(r->out, "0 metric _sampling_priority_v1=%d", (int)c->priority);
    say(r->out, "0 meta _dd.p.dm=-%" PRIu64, c->mechanism);
    say(r->out, "0 meta _dd.p.tid=%016" PRIx64, c->trace_id_high);
    say(r->out, "0 meta _dd.tags.process=a:b");
}

static void say_v1_chunk(v1_reader *r, const msgpack_object *chunk)
{
    v1_chunk c = { 0, &r->empty, 0, 0, 0 };
    uint32_t i, j;

    for (i = 0; i < chunk->via.map.size; i++) {
        const msgpack_object *value = &chunk->via.map.ptr[i].val;

        switch (chunk->via.map.ptr[i].key.via.u64) {
        case 1:
            c.priority = value->via.i64;
            break;
        case 2:
            c.origin = text_of(r, value);
            break;
        case 6:
            assert_int_equal(value->type, MSGPACK_OBJECT_BIN);
            c.trace_id_high = v1_be64(value->via.bin.ptr);
            c.trace_id = v1_be64(value->via.bin.ptr + 8);
            break;
        case 7:
            c.mechanism = value->via.u64;
            break;
        default: /* 4, behind the others */
            for (j = 0; j < value->via.array.size; j++)
                say_v1_span(r, j, &value->via.array.ptr[j], &c);
        }
    }
}

static void say_v1(lines *l, const msgpack_object *body)
{
    v1_reader *r = (v1_reader *)calloc(1, sizeof(*r));
    uint32_t i;

    r->out = l;
    r->empty.type = MSGPACK_OBJECT_STR;
    r->empty.via.str.ptr = "";
    r->text[r->texts++] = &r->empty;
    for (i = 0; i < body->via.map.size; i++) {
        const msgpack_object *value = &body->via.map.ptr[i].val;
        lines elsewhere = { .len = 0 };

        switch (body->via.map.ptr[i].key.via.u64) {
        case 10:
            r->out = &elsewhere;
            say_v1_attributes(r, 0, value);
            assert_int_equal(elsewhere.len, 1);
            assert_string_equal(elsewhere.line[0], "0 meta _dd.tags.process=a:b");
            forget(&elsewhere);
            r->out = l;
            break;
        case 11:
            assert_int_equal(value->via.array.size, 1);
            say_v1_chunk(r, &value->via.array.ptr[0]);
            break;
        default:
            (void)text_of(r, value);
        }
    }
    free(r);
}

static void write_text_field(sonde_buf *b, const char *key, const char *value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_str(b, sonde_str_from(value));
}

static void write_number_field(sonde_buf *b, const char *key, uint64_t value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_u64(b, value);
}

/* Span `n` of a chunk, with n more texts and n more numbers. */
static void write_v04_span(sonde_buf *b, uint32_t n)
{
    static const char *const span_kinds[] = { "client", "internal", "odd", "consumer", "server" };
    char key[64], value[400];
    uint32_t i;

    sonde_mp_write_map(b, 12);
    write_text_field(b, "service", n % 2 ? "web" : "db");
    write_text_field(b, "name", "request");
    write_text_field(b, "resource", n % 5 ? "GET /" : "");
    write_text_field(b, "type", n % 3 ? "web" : "");
    write_number_field(b, "trace_id", UINT64_MAX - 5);
    write_number_field(b, "span_id", UINT64_MAX - n);
    write_number_field(b, "parent_id", n);
    write_number_field(b, "start", UINT64_C(1700000000000000000) + n);
    write_number_field(b, "duration", n * 1000u);
    write_number_field(b, "error", n % 2);
    sonde_mp_write_str(b, SONDE_STR("meta"));
    sonde_mp_write_map(b, n + 3 + (n % 2) + (n == 0 ? 3 : 0));
    write_text_field(b, "_dd.origin", "synthetics");
    write_text_field(b, "env", n % 4 ? "prod" : "test");
    if (n == 0) {
        write_text_field(b, "_dd.p.dm", "-11");
        write_text_field(b, "_dd.p.tid", "67400000000000ab");
        write_text_field(b, "_dd.tags.process", "a:b");
    }
    write_text_field(b, "span.kind", span_kinds[n % 5]);
    if (n % 2)
        write_text_field(b, n % 3 ? "component" : "version", "x");
    for (i = 0; i < n; i++) {
        (void)snprintf(key, sizeof(key), "key %u", i);
        (void)snprintf(value, sizeof(value), "%*u \xc3\xa9", (int)(i * 7), (n + i) % 5);
        write_text_field(b, key, i % 7 ? value : "");
    }
    sonde_mp_write_str(b, SONDE_STR("metrics"));
    sonde_mp_write_map(b, n + (n == 0));
    if (n == 0) {
        sonde_mp_write_str(b, SONDE_STR("_sampling_priority_v1"));
        sonde_mp_write_double(b, -1);
    }
    for (i = 0; i < n; i++) {
        (void)snprintf(key, sizeof(key), "key %u", i + 2);
        sonde_mp_write_str(b, sonde_str_from(key));
        sonde_mp_write_double(b, i / 3.0);
    }
}

static void write_v04_chunk(sonde_buf *b, uint32_t spans)
{
    uint32_t i;

    sonde_mp_write_array(b, spans);
    for (i = 0; i < spans; i++)
        write_v04_span(b, i);
}

static void unpack(msgpack_unpacked *u, sonde_str body)
{
    msgpack_unpacked_init(u);
    assert_int_equal(msgpack_unpack_next(u, body.ptr, body.len, NULL), MSGPACK_UNPACK_SUCCESS);
}

static void test_three_forms_say_the_same(void **state)
{
    sonde__config config = make_config();
    static lines said04, said05, said1;
    msgpack_unpacked u04, u05, u1;
    sonde_buf chunk;
    sonde__v05 v05;
    sonde__v1 v1;

    (void)state;
    sonde_buf_init(&chunk, 1u << 20);
    write_v04_chunk(&chunk, 40);
    assert_status(sonde__v05_open(&v05, 1u << 20), SONDE_OK);
    assert_status(sonde__v1_open(&v1, &config, runtime_id, "", 1u << 20), SONDE_OK);
    assert_status(sonde__v05_add(&v05, sonde_buf_str(&chunk)), SONDE_OK);
    assert_status(sonde__v1_add(&v1, sonde_buf_str(&chunk)), SONDE_OK);
    assert_true(sonde__v1_body(&v1, 1).len < chunk.len);
    unpack(&u04, sonde_buf_str(&chunk));
    unpack(&u05, sonde__v05_body(&v05, 1));
    unpack(&u1, sonde__v1_body(&v1, 1));
    say_v04(&said04, &u04.data);
    say_v05(&said05, &u05.data);
    say_v1(&said1, &u1.data);
    assert_same_lines(&said04, &said05);
    assert_same_lines(&said04, &said1);
    forget(&said04);
    forget(&said05);
    forget(&said1);
    msgpack_unpacked_destroy(&u04);
    msgpack_unpacked_destroy(&u05);
    msgpack_unpacked_destroy(&u1);
    sonde__v05_close(&v05);
    sonde__v1_close(&v1);
    sonde_buf_done(&chunk);
}

/* -- what is kept as a tag -------------------------------------------------------------------------- */

static void test_what_has_no_place_stays_a_tag(void **state)
{
    static const struct {
        const char *label;
        const char *key, *value;
        bool stays;
    } cases[] = {
        { "mechanism", "_dd.p.dm", "-4", false },
        { "mechanism behind a hash", "_dd.p.dm", "934086a686-4", false },
        { "mechanism without a dash", "_dd.p.dm", "4", true },
        { "mechanism that is none", "_dd.p.dm", "-x", true },
        { "upper half", "_dd.p.tid", "6740000000000000", false },
        { "upper half in capitals", "_dd.p.tid", "674000000000000A", true },
        { "short upper half", "_dd.p.tid", "67", true },
        { "other process tags", "_dd.tags.process", "x:y", true },
        { "kind in capitals", "span.kind", "CLIENT", true },
        { "component", "component", "net/http", false },
    };
    sonde__config config = make_config();
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_buf chunk;
        sonde_str body;
        sonde__v1 v;
        size_t at;

        sonde_buf_init(&chunk, 4096);
        sonde_mp_write_array(&chunk, 1);
        sonde_mp_write_map(&chunk, 1);
        sonde_mp_write_str(&chunk, SONDE_STR("meta"));
        sonde_mp_write_map(&chunk, 1);
        write_text_field(&chunk, cases[i].key, cases[i].value);
        config.process_tags = SONDE_STR("");
        assert_status(sonde__v1_open(&v, &config, runtime_id, "", 1u << 16), SONDE_OK);
        assert_status(sonde__v1_add(&v, sonde_buf_str(&chunk)), SONDE_OK);
        body = sonde__v1_body(&v, 1);
        if (sonde_str_find(body, sonde_str_from(cases[i].key), &at) != cases[i].stays)
            fail_msg("%s", cases[i].label);
        sonde__v1_close(&v);
        sonde_buf_done(&chunk);
    }
}

/* -- ceilings ------------------------------------------------------------------------------------- */

static void write_wide_span(sonde_buf *b, unsigned first, unsigned count)
{
    char text[32];

    sonde_mp_write_array(b, 1);
    sonde_mp_write_map(b, 1);
    sonde_mp_write_str(b, SONDE_STR("meta"));
    sonde_mp_write_map(b, count);
    for (; count > 0; count--, first++) {
        (void)snprintf(text, sizeof(text), "%u", first);
        write_text_field(b, "k", text);
    }
}

static void test_what_does_not_fit_leaves_the_payload_as_it_was(void **state)
{
    static const struct {
        const char *label;
        size_t max_bytes;
        unsigned texts; /* of each chunk */
        bool same;      /* in every chunk */
    } cases[] = {
        { "table", 1u << 16, 100, false },
        { "body", 1u << 13, 20, true },
        { "one chunk", 1u << 12, 10000, false },
    };
    sonde__config config = make_config();
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        msgpack_unpacked u;
        const msgpack_object *chunks;
        sonde_buf chunk;
        sonde_str body;
        sonde__v1 v;
        unsigned n = 0;

        sonde_buf_init(&chunk, 1u << 20);
        assert_status(sonde__v1_open(&v, &config, runtime_id, "", cases[i].max_bytes), SONDE_OK);
        for (;; n++) {
            sonde_buf_reset(&chunk);
            write_wide_span(&chunk, cases[i].same ? 0 : n * cases[i].texts, cases[i].texts);
            if (sonde__v1_add(&v, sonde_buf_str(&chunk)) != SONDE_OK)
                break;
        }
        assert_in_range(n, cases[i].texts == 10000 ? 0 : 2, 1000);
        assert_status(sonde__v1_add(&v, sonde_buf_str(&chunk)), SONDE_ERR_TOO_BIG);
        body = sonde__v1_body(&v, n);
        assert_in_range(body.len, 1, cases[i].max_bytes / 3 * 2);
        unpack(&u, body);
        chunks = &u.data.via.map.ptr[u.data.via.map.size - 1].val;
        if (chunks->via.array.size != n)
            fail_msg("%s", cases[i].label);
        msgpack_unpacked_destroy(&u);
        sonde__v1_close(&v);
        sonde_buf_done(&chunk);
    }
}

static sonde_status encode_once(void *user)
{
    sonde__config config = make_config();
    sonde__v1 v;
    sonde_status status = sonde__v1_open(&v, &config, runtime_id, "", 1u << 20);

    if (status == SONDE_OK)
        status = sonde__v1_add(&v, sonde_buf_str((const sonde_buf *)user));
    if (status == SONDE_OK && sonde__v1_body(&v, 1).len == 0)
        status = SONDE_ERR_NOMEM;
    sonde__v1_close(&v);
    return status;
}

static void test_encoding_survives_every_failing_allocation(void **state)
{
    sonde_buf chunk;

    (void)state;
    sonde_buf_init(&chunk, 1u << 20);
    write_v04_chunk(&chunk, 40);
    alloc_fail_each(encode_once, &chunk);
    sonde_buf_done(&chunk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_chunk_is_written_as_in_the_specification),
        cmocka_unit_test(test_a_payload_says_where_it_comes_from),
        cmocka_unit_test(test_links_and_events_keep_their_types),
        cmocka_unit_test(test_structured_values_are_bytes),
        cmocka_unit_test(test_three_forms_say_the_same),
        cmocka_unit_test(test_what_has_no_place_stays_a_tag),
        cmocka_unit_test(test_what_does_not_fit_leaves_the_payload_as_it_was),
        cmocka_unit_test(test_encoding_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("encode_v1", tests, NULL, NULL);
}
