/* Property: the reader ends with the end or with an error that has a place and a reason; a text it reads
 * to the end can be written from its events, and the written text gives the same events again. */
#include <stdint.h>
#include <stdlib.h>

#include "codec/json_read.h"
#include "codec/json_write.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())
#define STRING_MAX  ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copy_event(sonde_json_writer *w, const sonde_json_reader *r, sonde_json_event e)
{
    switch (e) {
    case SONDE_JSON_OBJECT:
        sonde_json_begin_object(w);
        break;
    case SONDE_JSON_OBJECT_END:
        sonde_json_end_object(w);
        break;
    case SONDE_JSON_ARRAY:
        sonde_json_begin_array(w);
        break;
    case SONDE_JSON_ARRAY_END:
        sonde_json_end_array(w);
        break;
    case SONDE_JSON_KEY:
        sonde_json_key(w, r->text);
        break;
    case SONDE_JSON_STRING:
        sonde_json_str(w, r->text);
        break;
    case SONDE_JSON_NUMBER:
        sonde_json_raw(w, r->text);
        break;
    case SONDE_JSON_TRUE:
        sonde_json_bool(w, true);
        break;
    case SONDE_JSON_FALSE:
        sonde_json_bool(w, false);
        break;
    case SONDE_JSON_NULL:
        sonde_json_null(w);
        break;
    default:
        break;
    }
}

/* Returns the number of events, 0 when the text is not JSON. */
static size_t copy(sonde_str json, sonde_buf *out)
{
    sonde_json_reader r;
    sonde_json_writer w;
    sonde_json_event e;
    size_t events = 0;

    sonde_json_reader_init(&r, json, STRING_MAX);
    sonde_json_writer_init(&w, out);
    do {
        e = sonde_json_next(&r);
        copy_event(&w, &r, e);
        events++;
        CHECK(events <= json.len + 2);
    } while (e != SONDE_JSON_END && e != SONDE_JSON_ERROR);
    if (e == SONDE_JSON_ERROR) {
        CHECK(r.status != SONDE_OK && r.error && r.error_at <= json.len);
        events = 0;
    }
    sonde_json_reader_done(&r);
    return events;
}

static void check_skip(sonde_str json, bool is_json)
{
    sonde_json_reader r;
    sonde_json_event e;

    sonde_json_reader_init(&r, json, STRING_MAX);
    e = sonde_json_next(&r);
    CHECK(!is_json || (sonde_json_skip(&r, e) && sonde_json_next(&r) == SONDE_JSON_END));
    if (!is_json && sonde_json_skip(&r, e))
        CHECK(sonde_json_next(&r) == SONDE_JSON_ERROR);
    sonde_json_reader_done(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str json = { (const char *)data, size };
    sonde_buf once, twice;
    size_t events;

    sonde_buf_init(&once, size * 6 + 64);
    sonde_buf_init(&twice, size * 6 + 64);
    events = copy(json, &once);
    check_skip(json, events != 0);
    if (events) {
        CHECK(once.status == SONDE_OK);
        CHECK(copy(sonde_buf_str(&once), &twice) == events);
        CHECK(sonde_str_eq(sonde_buf_str(&once), sonde_buf_str(&twice)));
    }
    sonde_buf_done(&once);
    sonde_buf_done(&twice);
    return 0;
}
