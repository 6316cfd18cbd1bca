/* payload.c - making and freeing a payload; its tags. */
#include "payload.h"

#include "agent/payload/tags.h"
#include "base/alloc.h"

payload *payload_new(size_t max_arena_bytes)
{
    payload *p = sonde_calloc(1, sizeof(*p));

    if (p)
        sonde_arena_init(&p->arena, max_arena_bytes);
    return p;
}

void payload_free(payload *p)
{
    if (!p)
        return;
    if (p->release_body)
        p->release_body(p); /* before the arena: the owner may live in it */
    sonde_arena_done(&p->arena);
    sonde_free(p);
}

sonde_status payload_tag_set(payload *p, sonde_str key, sonde_str value)
{
    return tags_set(&p->tags, &p->tags_len, &p->tags_cap, &p->arena, key, value);
}

sonde_str *payload_tag_get(const payload *p, sonde_str key)
{
    return tags_get(p->tags, p->tags_len, key);
}

sonde_str payload_container_tag(const payload *p, sonde_str name)
{
    const sonde_str *all = payload_tag_get(p, SONDE_STR("_dd.tags.container"));
    sonde_str rest = all ? *all : (sonde_str){ NULL, 0 };

    while (rest.len) {
        sonde_str tag = sonde_str_cut(&rest, ','), key = sonde_str_cut(&tag, ':');

        if (sonde_str_eq(key, name))
            return tag;
    }
    return rest;
}

sonde_status chunk_tag_set(payload_chunk *c, sonde_arena *arena, sonde_str key, sonde_str value)
{
    return tags_set(&c->tags, &c->tags_len, &c->tags_cap, arena, key, value);
}
