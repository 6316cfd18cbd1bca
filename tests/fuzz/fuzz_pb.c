/* Property: the reader stays inside the input and ends; every field it gives, written with the writers,
 * reads back as the same field and value; every accessor copes with every wire type. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/pb_read.h"
#include "codec/pb_write.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())
#define DEPTH_MAX   8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_field(const sonde_pb_reader *r, sonde_buf *out)
{
    size_t mark;

    if (r->wire == 0) {
        sonde_pb_varint(out, r->field, r->scalar);
    } else if (r->wire == 1) {
        sonde_pb_fixed64(out, r->field, r->scalar);
    } else if (r->field % 2) {
        sonde_pb_str_always(out, r->field, r->bytes);
    } else {
        mark = sonde_pb_begin(out, r->field);
        sonde_buf_append_str(out, r->bytes);
        sonde_pb_end(out, mark);
    }
}

static void check_field(const sonde_pb_reader *r)
{
    bool left_out = r->wire != 2 && r->scalar == 0;
    sonde_pb_reader back;
    sonde_buf out;

    if (r->wire == 5)
        return; /* nothing writes it */
    sonde_buf_init(&out, r->bytes.len + 64);
    write_field(r, &out);
    CHECK(out.status == SONDE_OK);
    sonde_pb_reader_init(&back, out.data, out.len);
    CHECK(sonde_pb_next(&back) == !left_out);
    if (!left_out) {
        CHECK(back.field == r->field && back.wire == r->wire);
        CHECK(r->wire == 2 ? sonde_str_eq(back.bytes, r->bytes) : back.scalar == r->scalar);
        CHECK(!sonde_pb_next(&back) && back.status == SONDE_OK);
    }
    sonde_buf_done(&out);
}

static void check_accessors(const sonde_pb_reader *r)
{
    sonde_pb_reader copy = *r;

    CHECK(sonde_pb_i64(&copy) == (int64_t)sonde_pb_u64(&copy));
    CHECK((copy.status == SONDE_OK) == (r->wire != 2));
    copy = *r;
    CHECK(sonde_pb_i32(&copy) == (int32_t)(uint32_t)sonde_pb_u64(&copy));
    (void)sonde_pb_s32(&copy);
    copy = *r;
    (void)sonde_pb_f64(&copy);
    CHECK((copy.status == SONDE_OK) == (r->wire == 1));
    copy = *r;
    CHECK(sonde_pb_bytes(&copy).len == (r->wire == 2 ? r->bytes.len : 0));
}

static void walk(sonde_str message, unsigned depth)
{
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, message.ptr, message.len);
    while (sonde_pb_next(&r)) {
        CHECK(r.field != 0 && r.at <= r.end);
        check_field(&r);
        check_accessors(&r);
        if (r.wire == 2 && depth < DEPTH_MAX)
            walk(sonde_pb_bytes(&r), depth + 1);
    }
    CHECK(r.at == r.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    walk((sonde_str){ (const char *)data, size }, 0);
    return 0;
}
