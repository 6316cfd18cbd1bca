/* blackbox_process.c - a map with the keys of process discovery, and the tags of DD_TAGS. */
#include "blackbox_process.h"

#include <string.h>

#include "base/buf.h"
#include "codec/msgpack_write.h"

#include "container.h"

#define SCHEMA_VERSION  2
#define VALUE_MAX_BYTES 200 /* process_tags may be longer */

typedef struct entry {
    sonde_str key;
    sonde_str value;
} entry;

#define ENTRIES 9

static size_t list_entries(const sonde__config *c, const char *runtime_id, const char *container,
                           entry out[ENTRIES])
{
    const entry all[ENTRIES] = {
        { SONDE_STR("runtime_id"), sonde_str_from(runtime_id) },
        { SONDE_STR("tracer_version"), c->tracer_version },
        { SONDE_STR("tracer_language"), c->language },
        { SONDE_STR("hostname"), c->hostname },
        { SONDE_STR("service_name"), c->service },
        { SONDE_STR("service_env"), c->env },
        { SONDE_STR("service_version"), c->version },
        { SONDE_STR("process_tags"), c->process_tags },
        { SONDE_STR("container_id"), sonde_str_from(container) },
    };
    size_t len = 0;
    size_t i;

    for (i = 0; i < ENTRIES; i++)
        if (all[i].value.len > 0)
            out[len++] = all[i];
    return len;
}

static void put_entry(sonde_buf *b, const entry *e, const sonde__config *c)
{
    sonde_str value = e->value;

    if (value.ptr != c->process_tags.ptr)
        value.len = sonde_utf8_cut(value, VALUE_MAX_BYTES);
    sonde_mp_write_str(b, e->key);
    sonde_mp_write_str(b, value);
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

static void put_map(sonde_buf *b, const sonde__config *c, const char *runtime_id,
                    const char *container, uint32_t tags)
{
    entry entries[ENTRIES];
    size_t len = list_entries(c, runtime_id, container, entries);
    size_t i;

    sonde_buf_reset(b);
    sonde_mp_write_map(b, (uint32_t)len + 2);
    sonde_mp_write_str(b, SONDE_STR("schema_version"));
    sonde_mp_write_u64(b, SCHEMA_VERSION);
    for (i = 0; i < len; i++)
        put_entry(b, &entries[i], c);
    put_tags(b, c, tags);
}

size_t sonde__blackbox_process(const sonde__config *c, const char *runtime_id,
                               uint8_t out[SONDE_BLACKBOX_PROCESS_MAX])
{
    char container[SONDE__CONTAINER_ID_MAX];
    char entity[SONDE__CONTAINER_ID_MAX];
    uint32_t tags = c->tags_len;
    size_t len = 0;
    sonde_buf b;

    sonde__container_read(container, entity);
    /* A writer asks for a few bytes more than it uses. */
    sonde_buf_init(&b, SONDE_BLACKBOX_PROCESS_MAX);
    put_map(&b, c, runtime_id, container, tags);
    while (b.status == SONDE_ERR_TOO_BIG && tags > 0)
        put_map(&b, c, runtime_id, container, --tags);
    if (b.status == SONDE_OK) {
        len = b.len;
        memcpy(out, b.data, len);
    }
    sonde_buf_done(&b);
    return len;
}
