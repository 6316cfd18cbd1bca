/* source.c - a short list of sources, looked through by hash. */
#include "source.h"

#include <stdbool.h>
#include <string.h>

#include "agent/payload/payload.h"
#include "base/alloc.h"
#include "base/digest.h"
#include "base/mutex.h"

#define TAGS_MAX_BYTES 1024

struct payload_sources {
    sonde_mutex mu;                         /* of those who add one */
    _Atomic size_t len;                     /* of `items`, published after the item */
    payload_source *items[SOURCES_MAX + 1]; /* the first is what all others share */
};

static payload_source *source_new(const char *tags, size_t len, uint32_t hash)
{
    payload_source *s = sonde_calloc(1, sizeof(*s) + len + 1);

    if (!s)
        return NULL;
    memcpy(s->tags, tags, len);
    s->tags_len = (uint32_t)len;
    s->hash = hash;
    return s;
}

payload_sources *sources_open(void)
{
    payload_sources *s = sonde_calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->items[0] = source_new("", 0, 0);
    if (!s->items[0]) {
        sonde_free(s);
        return NULL;
    }
    atomic_init(&s->len, 1);
    sonde_mutex_init(&s->mu, SONDE_RANK_POOL);
    return s;
}

void sources_close(payload_sources *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < sources_len(s); i++)
        sonde_free(s->items[i]);
    sonde_mutex_done(&s->mu);
    sonde_free(s);
}

/* What would end a tag, a line or a label in one of the forms metrics are written in. */
static bool is_awkward(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f || strchr("|,#\"\\", c);
}

static size_t put_tag(char *out, size_t at, const char *name, sonde_str value)
{
    bool is_text;

    if (!value.len)
        return at;
    is_text = sonde_utf8_valid(value); /* a header may hold anything */
    value.len = sonde_utf8_cut(value, SOURCE_VALUE_MAX);
    if (at)
        out[at++] = ',';
    memcpy(out + at, name, strlen(name));
    at += strlen(name);
    for (size_t i = 0; i < value.len; i++)
        out[at++] =
            (char)(is_awkward(value.ptr[i]) || (!is_text && (value.ptr[i] & 0x80)) ? '_'
                                                                                   : value.ptr[i]);
    return at;
}

static size_t put_tags(const source_key *k, char out[TAGS_MAX_BYTES])
{
    size_t at = put_tag(out, 0, "lang:", k->lang);

    at = put_tag(out, at, "lang_version:", k->lang_version);
    at = put_tag(out, at, "lang_vendor:", k->lang_vendor);
    at = put_tag(out, at, "interpreter:", k->interpreter);
    at = put_tag(out, at, "tracer_version:", k->tracer_version);
    at = put_tag(out, at, "endpoint_version:", k->endpoint_version);
    at = put_tag(out, at, "connection_type:", k->connection_type);
    return put_tag(out, at, "service:", k->service);
}

static payload_source *look(const payload_sources *s, const char *tags, size_t len, uint32_t hash)
{
    for (size_t i = 0; i < sources_len(s); i++) {
        payload_source *item = s->items[i];

        if (item->hash == hash && item->tags_len == len && memcmp(item->tags, tags, len) == 0)
            return item;
    }
    return NULL;
}

static payload_source *add_source(payload_sources *s, const char *tags, size_t len, uint32_t hash)
{
    payload_source *found;
    size_t n;

    sonde_mutex_lock(&s->mu);
    found = look(s, tags, len, hash);
    n = sources_len(s);
    if (!found && n <= SOURCES_MAX && (found = source_new(tags, len, hash)) != NULL) {
        s->items[n] = found;
        atomic_store_explicit(&s->len, n + 1, memory_order_release); /* pairs with sources_len() */
    }
    sonde_mutex_unlock(&s->mu);
    return found ? found : s->items[0];
}

payload_source *sources_find(payload_sources *s, const source_key *key)
{
    char tags[TAGS_MAX_BYTES];
    size_t len = put_tags(key, tags);
    uint32_t hash = sonde_fnv1a32(SONDE_FNV1A32_INIT, tags, len);
    payload_source *found = look(s, tags, len, hash);

    return found ? found : add_source(s, tags, len, hash);
}

size_t sources_len(const payload_sources *s)
{
    return atomic_load_explicit(&s->len, memory_order_acquire); /* pairs with add_source() */
}

payload_source *sources_at(const payload_sources *s, size_t i)
{
    return s->items[i];
}

void source_add(payload_source *source, source_count what, uint64_t n)
{
    if (source && n)
        atomic_fetch_add_explicit(&source->counts[what], n, memory_order_relaxed);
}

void source_add_priority(payload_source *source, int32_t priority)
{
    if (priority == PRIORITY_NONE) {
        source_add(source, SOURCE_PRIORITY_NONE, 1);
        return;
    }
    if (priority < SOURCE_PRIORITY_MIN)
        priority = SOURCE_PRIORITY_MIN;
    if (priority > SOURCE_PRIORITY_MAX)
        priority = SOURCE_PRIORITY_MAX;
    source_add(source, (source_count)(SOURCE_PRIORITY_FIRST + priority - SOURCE_PRIORITY_MIN), 1);
}

uint64_t source_read(const payload_source *source, source_count what)
{
    return atomic_load_explicit(&source->counts[what], memory_order_relaxed);
}
