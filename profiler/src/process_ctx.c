/* process_ctx.c - finding it by its name, copying it, reading two attributes. */
#include "process_ctx.h"

#include <string.h>

#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/hex.h"
#include "codec/pb_read.h"

#include "objects.h"

#define HEADER_BYTES 32u
#define VERSION      2u

/* -- the message ------------------------------------------------------------------------------------ */

/* KeyValue{1 key, 2 value}: the AnyValue, and false when it is another key. */
static bool read_pair(sonde_str pair, const char *key, sonde_str *out_value)
{
    sonde_str name = { NULL, 0 }, value = { NULL, 0 };
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, pair.ptr, pair.len);
    while (sonde_pb_next(&r)) {
        if (r.field == 1)
            name = sonde_pb_bytes(&r);
        else if (r.field == 2)
            value = sonde_pb_bytes(&r);
    }
    *out_value = value;
    return r.status == SONDE_OK && sonde_str_eq(name, sonde_str_from(key));
}

/* The last field of that number; empty: there is none. */
static sonde_str field_of(sonde_str message, uint32_t field)
{
    sonde_str found = { NULL, 0 };
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, message.ptr, message.len);
    while (sonde_pb_next(&r))
        if (r.field == field && r.wire == 2)
            found = sonde_pb_bytes(&r);
    return found;
}

static void read_resource(sonde_str resource, sonde_prof__process_ctx *out)
{
    sonde_pb_reader r;
    sonde_str value;

    sonde_pb_reader_init(&r, resource.ptr, resource.len);
    while (sonde_pb_next(&r)) {
        if (r.field != 1 || r.wire != 2 ||
            !read_pair(sonde_pb_bytes(&r), "service.instance.id", &value))
            continue;
        value = field_of(value, 1);
        if (value.len > 0 && value.len < sizeof(out->runtime_id) && sonde_utf8_valid(value)) {
            memcpy(out->runtime_id, value.ptr, value.len);
            out->runtime_id[value.len] = '\0';
        }
    }
}

/* AnyValue{5 array: {1 values}}. */
static void read_key_map(sonde_str value, sonde_prof__process_ctx *out)
{
    sonde_str array = field_of(value, 5);
    sonde_pb_reader r;
    int index = 0;

    sonde_pb_reader_init(&r, array.ptr, array.len);
    while (sonde_pb_next(&r)) {
        if (r.field != 1 || r.wire != 2)
            continue;
        if (index < 256 &&
            sonde_str_eq(field_of(sonde_pb_bytes(&r), 1), SONDE_STR("datadog.local_root_span_id")))
            out->local_root_key = index;
        index++;
    }
}

bool sonde_prof__process_ctx_parse(const uint8_t *message, size_t len, sonde_prof__process_ctx *out)
{
    sonde_pb_reader r;
    sonde_str value;

    *out = (sonde_prof__process_ctx){ .local_root_key = -1 };
    sonde_pb_reader_init(&r, message, len);
    while (sonde_pb_next(&r)) {
        if (r.wire != 2)
            continue;
        if (r.field == 1)
            read_resource(sonde_pb_bytes(&r), out);
        else if (r.field == 2 &&
                 read_pair(sonde_pb_bytes(&r), "threadlocal.attribute_key_map", &value))
            read_key_map(value, out);
    }
    return r.status == SONDE_OK;
}

/* -- the mapping ------------------------------------------------------------------------------------ */

static bool copy_memory(uint64_t from, void *to, size_t len)
{
    struct iovec local = { to, len }, remote = { (void *)(uintptr_t)from, len };

    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len;
}

static uint64_t number(const uint8_t *at, size_t bytes)
{
    uint64_t v = 0;

    memcpy(&v, at, bytes);
    return v;
}

static bool read_at(uint64_t address, sonde_prof__process_ctx *out)
{
    uint8_t head[HEADER_BYTES], again[HEADER_BYTES];
    uint8_t *message;
    uint64_t len;
    bool ok;

    if (!copy_memory(address, head, sizeof(head)) || memcmp(head, "OTEL_CTX", 8) != 0 ||
        number(head + 8, 4) != VERSION || number(head + 16, 8) == 0)
        return false;
    len = number(head + 12, 4);
    if (len == 0 || len > SONDE_PROF__PROCESS_CTX_MAX)
        return false;
    message = (uint8_t *)sonde_malloc(len);
    ok = message && copy_memory(number(head + 24, 8), message, len) &&
         copy_memory(address, again, sizeof(again)) && memcmp(head, again, sizeof(head)) == 0 &&
         sonde_prof__process_ctx_parse(message, len, out);
    sonde_free(message);
    return ok;
}

static bool has_its_name(sonde_str line)
{
    return sonde_str_ends(line, SONDE_STR("[anon:OTEL_CTX]")) ||
           sonde_str_ends(line, SONDE_STR("[anon_shmem:OTEL_CTX]")) ||
           sonde_str_ends(line, SONDE_STR("/memfd:OTEL_CTX (deleted)")) ||
           sonde_str_ends(line, SONDE_STR("/memfd:OTEL_CTX"));
}

static bool address_of(sonde_str line, uint64_t *out)
{
    return sonde_hex_parse_u64(sonde_str_cut(&line, '-'), 0, out) == SONDE_OK;
}

bool sonde_prof__process_ctx_read(sonde_prof__process_ctx *out)
{
    sonde_buf maps;
    sonde_str rest;
    bool found = false;
    uint64_t at;

    sonde_buf_init(&maps, SONDE_PROF__MAPS_TEXT_MAX);
    (void)sonde_prof__objects_maps_text(&maps);
    rest = sonde_buf_str(&maps);
    while (rest.len > 0 && !found) {
        sonde_str line = sonde_str_cut(&rest, '\n');

        found = has_its_name(line) && address_of(line, &at) && read_at(at, out);
    }
    sonde_buf_done(&maps);
    return found;
}
