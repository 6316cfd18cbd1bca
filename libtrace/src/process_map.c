/* process_map.c - the keys, once. */
#include "base/container.h"

#include "process_map.h"

#include "codec/msgpack_write.h"

#define SCHEMA_VERSION 2

typedef struct entry {
    sonde_str key;
    sonde_str value;
} entry;

/* Entries without a value are left out; `more` ones follow that the caller writes. */
static void put_entries(sonde_buf *b, const entry *entries, uint32_t len, uint32_t more)
{
    uint32_t there = 1 + more;
    uint32_t i;

    for (i = 0; i < len; i++)
        there += entries[i].value.len > 0;
    sonde_mp_write_map(b, there);
    sonde_mp_write_str(b, SONDE_STR("schema_version"));
    sonde_mp_write_u64(b, SCHEMA_VERSION);
    for (i = 0; i < len; i++) {
        if (entries[i].value.len == 0)
            continue;
        sonde_mp_write_str(b, entries[i].key);
        sonde_mp_write_str(b, entries[i].value);
    }
}

static void put_tags(sonde_buf *b, const sonde__config *c, uint32_t tags)
{
    uint32_t i;

    sonde_mp_write_str(b, SONDE_STR("tags"));
    sonde_mp_write_map(b, tags);
    for (i = 0; i < tags; i++) {
        sonde_mp_write_str(b, c->tags[i].key);
        sonde_mp_write_str(b, c->tags[i].value);
    }
}

static sonde_str cut(sonde_str text, size_t max)
{
    return (sonde_str){ text.ptr, sonde_utf8_cut(text, max) };
}

void sonde__process_map(sonde_buf *out, const sonde__config *c, const char *runtime_id,
                        size_t value_max, uint32_t tags)
{
    char id[SONDE_CONTAINER_ID_MAX];
    char entity[SONDE_CONTAINER_ID_MAX];
    bool tagged = tags != SONDE__NO_TAGS;

    sonde_container_read(id, entity);
    put_entries(out,
                (const entry[]){
                    { SONDE_STR("runtime_id"), sonde_str_from(runtime_id) },
                    { SONDE_STR("tracer_version"), cut(c->tracer_version, value_max) },
                    { SONDE_STR("tracer_language"), cut(c->language, value_max) },
                    { SONDE_STR("hostname"), cut(c->hostname, value_max) },
                    { SONDE_STR("service_name"), cut(c->service, value_max) },
                    { SONDE_STR("service_env"), cut(c->env, value_max) },
                    { SONDE_STR("service_version"), cut(c->version, value_max) },
                    { SONDE_STR("process_tags"), c->process_tags },
                    { SONDE_STR("container_id"), sonde_str_from(id) },
                },
                9, tagged);
    if (tagged)
        put_tags(out, c, tags);
}
