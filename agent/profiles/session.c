/* session.c - a batch before it is believed, who the process is, and a session's life. */
#include "session.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

#define TAGS_MAX_BYTES 16384

/* ---- checking ---- */

static sonde_status check_hello(void *user, const spb_hello *h)
{
    batch_facts *f = user;

    f->hello = *h;
    return SONDE_OK;
}

/* Ids of one kind follow each other within a batch; UINT64_MAX marks one that does not. */
static sonde_status check_id(uint64_t *first, uint64_t *next, uint64_t id)
{
    if (*first == UINT64_MAX) {
        *first = id;
        *next = id;
    }
    if (id == UINT64_MAX || id > *next)
        return SONDE_ERR_SYNTAX;
    if (id < *first)
        *first = id;
    if (id == *next)
        (*next)++;
    return SONDE_OK;
}

static sonde_status check_string(void *user, uint64_t id, sonde_str text)
{
    batch_facts *f = user;

    (void)text;
    return check_id(&f->strings_first, &f->strings_next, id);
}

static sonde_status check_node(void *user, const spb_node *n)
{
    batch_facts *f = user;

    if (n->parent >= n->id)
        return SONDE_ERR_SYNTAX;
    return check_id(&f->nodes_first, &f->nodes_next, n->id);
}

sonde_status batch_check(sonde_str body, batch_facts *out, sonde_error *out_error)
{
    static const spb_visitor visitor = { .hello = check_hello,
                                         .string = check_string,
                                         .node = check_node };

    memset(out, 0, sizeof(*out));
    out->strings_first = out->nodes_first = UINT64_MAX;
    return spb_decode(body, &visitor, out, out_error);
}

bool batch_begins(const batch_facts *f)
{
    return f->hello.present & 1u << SPB_KEY_PID;
}

session_verdict session_accepts(const session *s, const batch_facts *f)
{
    bool follows = (f->strings_first == UINT64_MAX || f->strings_first <= s->strings_len) &&
                   (f->nodes_first == UINT64_MAX || f->nodes_first <= s->nodes_len);

    if (s->text[SPB_KEY_SESSION] && f->hello.seq <= s->last_seq)
        return SESSION_HAS_IT;
    return follows ? SESSION_TAKES : SESSION_RESYNC;
}

/* ---- HELLO ---- */

sonde_str session_text(const session *s, spb_key key)
{
    return sonde_str_from(s->text[key]);
}

static sonde_status set_text(char **to, sonde_str text)
{
    char *copy = sonde_strndup(text.ptr, text.len);

    if (!copy)
        return SONDE_ERR_NOMEM;
    sonde_free(*to);
    *to = copy;
    return SONDE_OK;
}

static sonde_status set_tags(session *s, const spb_hello *h)
{
    sonde_buf joined;
    sonde_status status;

    sonde_buf_init(&joined, TAGS_MAX_BYTES);
    for (size_t i = 0; i < h->tags_len; i++) {
        if (joined.len)
            sonde_buf_append_byte(&joined, ',');
        sonde_buf_append_str(&joined, h->tag[i]);
    }
    status = joined.status == SONDE_ERR_NOMEM ? SONDE_ERR_NOMEM
                                              : set_text(&s->tags, sonde_buf_str(&joined));
    sonde_buf_done(&joined);
    return status;
}

static bool has(const spb_hello *h, spb_key key)
{
    return h->present & 1u << key;
}

sonde_status session_greet(session *s, const spb_hello *h)
{
    static const spb_key texts[] = { SPB_KEY_SERVICE,     SPB_KEY_ENV,      SPB_KEY_VERSION,
                                     SPB_KEY_RUNTIME_ID,  SPB_KEY_PROFILER, SPB_KEY_ARCH,
                                     SPB_KEY_EXE,         SPB_KEY_HOSTNAME, SPB_KEY_LIBC,
                                     SPB_KEY_PROCESS_TAGS };
    sonde_status status = set_text(&s->text[SPB_KEY_SESSION], SONDE_STR("known"));

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && status == SONDE_OK; i++) {
        if (has(h, texts[i]))
            status = set_text(&s->text[texts[i]], h->text[texts[i]]);
    }
    if (status == SONDE_OK && has(h, SPB_KEY_TAGS))
        status = set_tags(s, h);
    if (has(h, SPB_KEY_PID))
        s->pid = h->pid;
    if (has(h, SPB_KEY_FLAGS))
        s->flags = h->flags;
    if (has(h, SPB_KEY_SEQ_BASE))
        s->seq_base = h->seq_base;
    if (has(h, SPB_KEY_INTERVALS))
        memcpy(s->interval, h->interval, sizeof(s->interval));
    s->last_seq = h->seq;
    return status;
}

/* ---- life ---- */

size_t session_bytes(const session *s)
{
    return sizeof(*s) + s->string_text.held_bytes + s->strings_cap * sizeof(*s->strings) +
           s->mappings_cap * sizeof(*s->mappings) + s->nodes_cap * sizeof(*s->nodes) +
           s->code_cap * sizeof(*s->code) + s->threads_cap * sizeof(*s->threads) +
           s->contexts_cap * sizeof(*s->contexts) +
           (s->profile_nodes_cap + s->profile_mappings_cap + s->profile_threads_cap) *
               sizeof(uint32_t);
}

sonde_status session_open(const uint8_t id[SPB_SESSION_LEN], symbols *of_files,
                          session **out_session)
{
    session *s = sonde_calloc(1, sizeof(*s));

    if (!s)
        return SONDE_ERR_NOMEM;
    memcpy(s->id, id, sizeof(s->id));
    s->symbols = of_files;
    sonde_arena_init(&s->string_text, SESSION_STRING_BYTES_MAX);
    s->strings =
        sonde_array_room(NULL, 0, &s->strings_cap, sizeof(*s->strings), SESSION_STRINGS_MAX);
    s->nodes = sonde_array_room(NULL, 0, &s->nodes_cap, sizeof(*s->nodes), SESSION_NODES_MAX);
    if (!s->strings || !s->nodes) {
        session_close(s);
        return SONDE_ERR_NOMEM;
    }
    s->strings_len = s->nodes_len = 1; /* "" and the root's parent */
    *out_session = s;
    return SONDE_OK;
}

void session_close(session *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->mappings_len; i++)
        symbol_object_put(s->mappings[i].what.object);
    for (size_t i = 0; i < SPB_KEYS; i++)
        sonde_free(s->text[i]);
    sonde_free(s->tags);
    sonde_free(s->strings);
    sonde_free(s->mappings);
    sonde_free(s->nodes);
    sonde_free(s->code);
    sonde_free(s->threads);
    sonde_free(s->contexts);
    sonde_free(s->profile_nodes);
    sonde_free(s->profile_mappings);
    sonde_free(s->profile_threads);
    sonde_arena_done(&s->string_text);
    sonde_free(s);
}
