/* recording.c - writing and reading entries. */
#include "recording.h"

#include <string.h>

#include "base/digest.h"
#include "base/error.h"

#define MAGIC         "SONDEREC"
#define VERSION       1u
#define ENTRY_FRAME   8  /* length, CRC */
#define ENTRY_LENGTHS 20 /* time, two 16-bit and two 32-bit lengths */

static void put_number(sonde_buf *b, uint64_t v, size_t bytes)
{
    while (bytes--) {
        sonde_buf_append_byte(b, (uint8_t)v);
        v >>= 8;
    }
}

static uint64_t get_number(const char *from, size_t bytes)
{
    uint64_t v = 0;

    while (bytes--)
        v = v << 8 | (uint8_t)from[bytes];
    return v;
}

void recording_write_head(sonde_buf *out, int64_t began_unix_ns)
{
    size_t from = out->len;

    sonde_buf_append_str(out, SONDE_STR(MAGIC));
    put_number(out, VERSION, 4);
    put_number(out, (uint64_t)began_unix_ns, 8);
    if (out->status == SONDE_OK)
        put_number(out, sonde_crc32c(0, out->data + from, RECORDING_HEAD_LEN - 4), 4);
}

void recording_write_entry(sonde_buf *out, const recording_entry *e)
{
    size_t len = ENTRY_LENGTHS + e->method.len + e->path.len + e->headers.len + e->body.len;
    size_t from = out->len;
    uint32_t crc;

    if (e->method.len > UINT16_MAX || e->path.len > UINT16_MAX || len > RECORDING_ENTRY_MAX) {
        out->status = SONDE_ERR_TOO_BIG;
        return;
    }
    put_number(out, len, 4);
    put_number(out, 0, 4);
    put_number(out, e->at_ns, 8);
    put_number(out, e->method.len, 2);
    put_number(out, e->path.len, 2);
    put_number(out, e->headers.len, 4);
    put_number(out, e->body.len, 4);
    sonde_buf_append_str(out, e->method);
    sonde_buf_append_str(out, e->path);
    sonde_buf_append_str(out, e->headers);
    sonde_buf_append_str(out, e->body);
    if (out->status != SONDE_OK)
        return;
    crc = sonde_crc32c(0, out->data + from + ENTRY_FRAME, len);
    for (size_t i = 0; i < 4; i++)
        out->data[from + 4 + i] = (uint8_t)(crc >> (8 * i));
}

sonde_status recording_open(recording_reader *r, sonde_str file, sonde_error *out_error)
{
    if (file.len < RECORDING_HEAD_LEN || !sonde_str_starts(file, SONDE_STR(MAGIC)))
        return sonde_fail(out_error, SONDE_ERR_SYNTAX, "not a recording");
    if (get_number(file.ptr + 20, 4) != sonde_crc32c(0, file.ptr, RECORDING_HEAD_LEN - 4))
        return sonde_fail(out_error, SONDE_ERR_SYNTAX, "the head is damaged");
    if (get_number(file.ptr + 8, 4) != VERSION)
        return sonde_fail(out_error, SONDE_ERR_SYNTAX, "version %llu, and only %u is known",
                          (unsigned long long)get_number(file.ptr + 8, 4), VERSION);
    r->began_unix_ns = (int64_t)get_number(file.ptr + 12, 8);
    r->rest = sonde_str_sub(file, RECORDING_HEAD_LEN, file.len);
    return SONDE_OK;
}

/* The next `len` bytes of `s`. */
static sonde_str take(sonde_str *s, size_t len)
{
    sonde_str head = sonde_str_sub(*s, 0, len);

    *s = sonde_str_sub(*s, len, s->len);
    return head;
}

sonde_status recording_next(recording_reader *r, recording_entry *out_entry)
{
    uint64_t len, lengths[4];
    sonde_str s = r->rest, frame;

    if (s.len < ENTRY_FRAME)
        return SONDE_ERR_EOF;
    frame = take(&s, ENTRY_FRAME);
    len = get_number(frame.ptr, 4);
    if (len < ENTRY_LENGTHS || len > RECORDING_ENTRY_MAX)
        return SONDE_ERR_SYNTAX;
    if (len > s.len)
        return SONDE_ERR_EOF; /* cut off while it was written */
    r->rest = s;
    s = take(&r->rest, (size_t)len);
    if (sonde_crc32c(0, s.ptr, s.len) != get_number(frame.ptr + 4, 4))
        return SONDE_ERR_SYNTAX;
    out_entry->at_ns = get_number(s.ptr, 8);
    lengths[0] = get_number(s.ptr + 8, 2);
    lengths[1] = get_number(s.ptr + 10, 2);
    lengths[2] = get_number(s.ptr + 12, 4);
    lengths[3] = get_number(s.ptr + 16, 4);
    if (ENTRY_LENGTHS + lengths[0] + lengths[1] + lengths[2] + lengths[3] != len)
        return SONDE_ERR_SYNTAX;
    (void)take(&s, ENTRY_LENGTHS);
    out_entry->method = take(&s, (size_t)lengths[0]);
    out_entry->path = take(&s, (size_t)lengths[1]);
    out_entry->headers = take(&s, (size_t)lengths[2]);
    out_entry->body = s;
    return SONDE_OK;
}

bool recording_header(sonde_str *headers, sonde_str *out_name, sonde_str *out_value)
{
    sonde_str line;

    if (headers->len == 0)
        return false;
    line = sonde_str_cut(headers, '\n');
    *out_name = sonde_str_cut(&line, ':');
    *out_value = sonde_str_trim(line);
    return true;
}
