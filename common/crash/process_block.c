/* process_block.c - reads the map; text that is no UTF-8 is left out. */
#include "process_block.h"

#include <stddef.h>

#include "codec/msgpack_read.h"

static const struct {
    const char *key;
    size_t offset;
} fields[] = {
    { "runtime_id", offsetof(sonde_process_block, runtime_id) },
    { "tracer_version", offsetof(sonde_process_block, tracer_version) },
    { "tracer_language", offsetof(sonde_process_block, language) },
    { "service_name", offsetof(sonde_process_block, service) },
    { "service_env", offsetof(sonde_process_block, env) },
    { "service_version", offsetof(sonde_process_block, version) },
    { "process_tags", offsetof(sonde_process_block, process_tags) },
    { "container_id", offsetof(sonde_process_block, container_id) },
};

static void read_tags(sonde_process_block *b, sonde_mp_reader *r)
{
    sonde_str key, value;
    uint32_t n;

    if (!sonde_mp_read_map(r, &n))
        return;
    while (n-- > 0 && sonde_mp_read_str(r, &key) && sonde_mp_read_str(r, &value))
        if (key.len > 0 && b->tags_len < SONDE_PROCESS_TAGS_MAX && sonde_utf8_valid(key) &&
            sonde_utf8_valid(value))
            b->tags[b->tags_len++] = (sonde_process_tag){ key, value };
}

static void read_field(sonde_process_block *b, sonde_mp_reader *r, sonde_str key)
{
    sonde_str value;
    size_t i;

    if (sonde_str_eq(key, SONDE_STR("tags"))) {
        read_tags(b, r);
        return;
    }
    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (sonde_str_eq(key, sonde_str_from(fields[i].key))) {
            if (sonde_mp_read_str(r, &value) && sonde_utf8_valid(value))
                *(sonde_str *)((char *)b + fields[i].offset) = value;
            return;
        }
    sonde_mp_skip(r);
}

void sonde_process_block_read(sonde_process_block *b, sonde_str msgpack)
{
    sonde_mp_reader r;
    sonde_str key;
    uint32_t n;

    *b = (sonde_process_block){ .tags_len = 0 };
    sonde_mp_reader_init(&r, msgpack.ptr, msgpack.len);
    if (!sonde_mp_read_map(&r, &n))
        return;
    while (n-- > 0 && sonde_mp_read_str(&r, &key))
        read_field(b, &r, key);
}
