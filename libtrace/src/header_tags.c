/* header_tags.c - the list, and looking headers up by it.
 *
 * The replacing list is copied out under a version count that is odd while it changes: a reader that meets a
 * change copies again, some times. */
#include "header_tags.h"

#include <stdatomic.h>
#include <string.h>

#define NAME_MAX_BYTES 150
#define COPY_ATTEMPTS  64 /* a fork may have cut a change short for good */
#define WORDS          (SONDE__HEADER_TAGS_ROOM / sizeof(uint64_t))
#define REQUEST_TAG    "http.request.headers."
#define RESPONSE_TAG   "http.response.headers."

static struct {
    _Atomic uint32_t version;
    _Atomic uint32_t len; /* 0: the configured list holds; else one more than the text's */
    _Atomic uint64_t words[WORDS];
} replaced;

/* -- the list ------------------------------------------------------------------------------------- */

static sonde_str cut_between_entries(sonde_str list)
{
    if (list.len <= SONDE__HEADER_TAGS_ROOM)
        return list;
    list.len = SONDE__HEADER_TAGS_ROOM;
    while (list.len > 0 && list.ptr[list.len] != ',')
        list.len--;
    return list;
}

void sonde__header_tags_set(sonde_str list)
{
    uint32_t odd = atomic_load_explicit(&replaced.version, memory_order_relaxed) | 1;
    uint64_t words[WORDS] = { 0 };
    size_t i;

    list = cut_between_entries(list);
    if (list.len > 0)
        memcpy(words, list.ptr, list.len);
    atomic_store_explicit(&replaced.version, odd, memory_order_relaxed);
    /* releases: who sees one of these sees the odd version; they pair with copy() */
    for (i = 0; i < WORDS; i++)
        atomic_store_explicit(&replaced.words[i], words[i], memory_order_release);
    atomic_store_explicit(&replaced.len, list.ptr ? (uint32_t)list.len + 1 : 0,
                          memory_order_release);
    atomic_store_explicit(&replaced.version, odd + 1, memory_order_release);
}

/* False: it was changed meanwhile. */
static bool copy(char room[SONDE__HEADER_TAGS_ROOM], uint32_t *out_len)
{
    uint32_t version = atomic_load_explicit(&replaced.version, memory_order_acquire);
    size_t i;

    *out_len = atomic_load_explicit(&replaced.len, memory_order_acquire);
    for (i = 0; i * sizeof(uint64_t) + 1 < *out_len; i++) {
        uint64_t word = atomic_load_explicit(&replaced.words[i], memory_order_acquire);

        memcpy(room + i * sizeof(word), &word, sizeof(word));
    }
    return version % 2 == 0 &&
           atomic_load_explicit(&replaced.version, memory_order_relaxed) == version;
}

sonde_str sonde__header_tags(const sonde__config *c, char room[SONDE__HEADER_TAGS_ROOM])
{
    uint32_t len = 0;
    int attempts;

    for (attempts = 0; attempts < COPY_ATTEMPTS; attempts++)
        if (copy(room, &len))
            return len == 0 ? c->header_tags : (sonde_str){ room, len - 1 };
    return c->header_tags;
}

/* -- headers -------------------------------------------------------------------------------------- */

typedef struct filter {
    sonde_str name;
    void (*take)(void *user, sonde_str value);
    void *user;
} filter;

static void pass(void *user, sonde_str name, sonde_str value)
{
    const filter *f = (const filter *)user;

    if (sonde_str_eq_nocase(name, f->name) && value.ptr)
        f->take(f->user, value);
}

void sonde__each_value(const sonde_reader *headers, sonde_str name,
                       void (*take)(void *user, sonde_str value), void *user)
{
    filter f = { name, take, user };

    if (headers && headers->each)
        headers->each(headers->user, pass, &f);
    else if (headers && headers->get)
        pass(&f, name, headers->get(headers->user, name));
}

typedef struct values {
    size_t len;
    bool any;
    char text[SONDE__HEADER_VALUE_MAX];
} values;

static void append(values *v, sonde_str text)
{
    if (text.len > sizeof(v->text) - v->len)
        text.len = sonde_utf8_cut(text, sizeof(v->text) - v->len);
    memcpy(v->text + v->len, text.len ? text.ptr : "", text.len);
    v->len += text.len;
}

static void add_value(void *user, sonde_str value)
{
    values *v = (values *)user;

    if (v->any)
        append(v, SONDE_STR(","));
    v->any = true;
    append(v, sonde_str_trim(value));
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* "header" or "header:tag", split at the last colon.  False: one of them is empty. */
static bool split(sonde_str entry, sonde_str *out_header, sonde_str *out_tag)
{
    size_t n = entry.len;

    while (n > 0 && entry.ptr[n - 1] != ':')
        n--;
    *out_header = n > 0 ? sonde_str_sub(entry, 0, n - 1) : entry;
    *out_header = sonde_str_trim(*out_header);
    *out_tag = sonde_str_trim(sonde_str_sub(entry, n, n > 0 ? entry.len : 0));
    return out_header->len > 0 && out_header->len <= NAME_MAX_BYTES && (n == 0 || out_tag->len > 0);
}

/* The tag of a header that names none. */
static sonde_str tag_of(sonde_str header, bool is_response, char *to)
{
    sonde_str prefix = is_response ? SONDE_STR(RESPONSE_TAG) : SONDE_STR(REQUEST_TAG);
    size_t i;

    memcpy(to, prefix.ptr, prefix.len);
    for (i = 0; i < header.len; i++) {
        char c = header.ptr[i];
        bool stays = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ' ' || c == '-';

        to[prefix.len + i] = stays ? c : '_';
    }
    return (sonde_str){ to, prefix.len + header.len };
}

static void put_one(sonde_span *span, sonde_str entry, const sonde_reader *headers,
                    bool is_response)
{
    char name[NAME_MAX_BYTES];
    char room[sizeof(RESPONSE_TAG) + NAME_MAX_BYTES];
    values found = { .len = 0 };
    sonde_str header, tag;
    size_t i;

    if (!split(entry, &header, &tag))
        return;
    for (i = 0; i < header.len; i++)
        name[i] = lower(header.ptr[i]);
    header.ptr = name;
    if (tag.len == 0)
        tag = tag_of(header, is_response, room);
    sonde__each_value(headers, header, add_value, &found);
    if (found.any)
        sonde_span_set_str_n(span, tag, (sonde_str){ found.text, found.len });
}

void sonde__header_tags_put(sonde_span *span, sonde_str list, const sonde_reader *headers,
                            bool is_response)
{
    while (list.len > 0)
        put_one(span, sonde_str_cut(&list, ','), headers, is_response);
}
