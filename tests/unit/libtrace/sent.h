/* sent.h - what the fake agent was sent last, by the names of spans, read with msgpack-c's unpacker.
 *
 * Bounds    one payload at a time. */
#ifndef SONDE_TESTS_UNIT_LIBTRACE_SENT_H
#define SONDE_TESTS_UNIT_LIBTRACE_SENT_H

#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "sonde/sonde.h"
#include "support/fake_agent.h"

static fake_agent *sent_agent;
static msgpack_unpacked sent_last;
static uint8_t *sent_bytes;

static void sent_open(void)
{
    sent_agent = fake_agent_open(NULL);
    msgpack_unpacked_init(&sent_last);
}

static void sent_close(void)
{
    msgpack_unpacked_destroy(&sent_last);
    free(sent_bytes);
    sent_bytes = NULL;
    fake_agent_close(sent_agent);
}

/* Flushes and takes the payload. */
static void sent_read(void)
{
    size_t len;

    assert_status(sonde_flush(10000), SONDE_OK);
    free(sent_bytes);
    msgpack_unpacked_destroy(&sent_last);
    msgpack_unpacked_init(&sent_last);
    sent_bytes = fake_agent_last_body(sent_agent, &len);
    assert_int_equal(msgpack_unpack_next(&sent_last, (const char *)sent_bytes, len, NULL),
                     MSGPACK_UNPACK_SUCCESS);
}

static const msgpack_object *sent_member(const msgpack_object *map, const char *key)
{
    uint32_t i;

    for (i = 0; map && i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];

        if (kv->key.via.str.size == strlen(key) &&
            memcmp(kv->key.via.str.ptr, key, strlen(key)) == 0)
            return &kv->val;
    }
    return NULL;
}

static const msgpack_object *sent_span(const char *name)
{
    uint32_t i, j;

    for (i = 0; i < sent_last.data.via.array.size; i++) {
        const msgpack_object *chunk = &sent_last.data.via.array.ptr[i];

        for (j = 0; j < chunk->via.array.size; j++) {
            const msgpack_object *n = sent_member(&chunk->via.array.ptr[j], "name");

            if (n->via.str.size == strlen(name) && memcmp(n->via.str.ptr, name, strlen(name)) == 0)
                return &chunk->via.array.ptr[j];
        }
    }
    fail_msg("no span named %s", name);
    return NULL;
}

#define SENT_NONE (-1000.0) /* a metric that is not there */

static double sent_metric(const msgpack_object *span, const char *key)
{
    const msgpack_object *value = sent_member(sent_member(span, "metrics"), key);

    return value ? value->via.f64 : SENT_NONE;
}

/* "" when it is not there; valid until the next call. */
static const char *sent_meta(const msgpack_object *span, const char *key)
{
    static char text[256];
    const msgpack_object *value = sent_member(sent_member(span, "meta"), key);
    size_t len = value ? value->via.str.size : 0;

    len = len < sizeof(text) - 1 ? len : sizeof(text) - 1;
    memcpy(text, len ? value->via.str.ptr : "", len);
    text[len] = '\0';
    return text;
}

#endif /* SONDE_TESTS_UNIT_LIBTRACE_SENT_H */
