/* spb_decode.c - one function per record of a batch.
 *
 * Each record is an array whose first element is its type.  A reader takes the elements it knows while
 * there are any (`left` counts them), and the walk skips the rest.
 */
#include "spb.h"

#include <string.h>

#include "base/error.h"
#include "codec/msgpack_read.h"

typedef struct walk {
    sonde_mp_reader r;
    const spb_visitor *v;
    void *user;
    sonde_status status; /* of the visitor */
    uint32_t left;       /* elements of the record that were not read */
    bool has_hello;
    bool has_end;
    uint64_t seq;
} walk;

/* Calls the visitor; false ends the walk. */
#define VISIT(w, row, ...)                                                                         \
    ((w)->v->row == NULL || ((w)->status = (w)->v->row((w)->user, __VA_ARGS__)) == SONDE_OK)

/* ---- elements: absent ones are zero ---- */

static bool take_u64(walk *w, uint32_t *left, uint64_t *out)
{
    *out = 0;
    if (*left == 0)
        return true;
    (*left)--;
    return sonde_mp_read_u64(&w->r, out);
}

static bool take_i64(walk *w, uint32_t *left, int64_t *out)
{
    *out = 0;
    if (*left == 0)
        return true;
    (*left)--;
    return sonde_mp_read_i64(&w->r, out);
}

static bool take_text(walk *w, sonde_str *out)
{
    if (!sonde_mp_read_str(&w->r, out))
        return false;
    return out->len <= SPB_TEXT_MAX_BYTES ||
           sonde_mp_fail(&w->r, SONDE_ERR_TOO_BIG, "a string is longer than 4096 bytes");
}

/* The list of a record: absent or nil is empty. */
static bool take_list(walk *w, uint32_t *out_count)
{
    *out_count = 0;
    if (w->left == 0)
        return true;
    w->left--;
    return sonde_mp_read_nil(&w->r) || sonde_mp_read_array(&w->r, out_count);
}

static bool skip(walk *w, uint32_t count)
{
    while (count > 0 && sonde_mp_skip(&w->r))
        count--;
    return count == 0;
}

/* A flat list of rows of `columns` numbers. */
static bool take_rows(walk *w, uint32_t columns, uint32_t *out_rows)
{
    uint32_t count;

    if (!take_list(w, &count))
        return false;
    if (count % columns != 0)
        return sonde_mp_fail(&w->r, SONDE_ERR_SYNTAX, "a flat list ends inside a row");
    *out_rows = count / columns;
    return true;
}

/* ---- HELLO ---- */

static bool read_session(walk *w, uint8_t *out)
{
    sonde_str id;

    if (!sonde_mp_read_bin(&w->r, &id))
        return false;
    if (id.len != SPB_SESSION_LEN)
        return sonde_mp_fail(&w->r, SONDE_ERR_SYNTAX, "a session id has 16 bytes");
    memcpy(out, id.ptr, SPB_SESSION_LEN);
    return true;
}

static bool read_nspids(walk *w, spb_hello *h)
{
    uint32_t count;
    uint64_t pid;

    if (sonde_mp_read_nil(&w->r))
        return true;
    if (!sonde_mp_read_array(&w->r, &count))
        return false;
    for (; count > 0; count--) {
        if (!sonde_mp_read_u64(&w->r, &pid))
            return false;
        if (h->nspid_len < SPB_NSPIDS_MAX)
            h->nspid[h->nspid_len++] = pid;
    }
    return true;
}

static bool read_tags(walk *w, spb_hello *h)
{
    uint32_t count;
    sonde_str tag;

    if (sonde_mp_read_nil(&w->r))
        return true;
    if (!sonde_mp_read_array(&w->r, &count))
        return false;
    for (; count > 0; count--) {
        if (!take_text(w, &tag))
            return false;
        if (h->tags_len < SPB_TAGS_MAX)
            h->tag[h->tags_len++] = tag;
    }
    return true;
}

static bool read_intervals(walk *w, spb_hello *h)
{
    uint32_t count;
    uint64_t kind, interval;

    if (sonde_mp_read_nil(&w->r))
        return true;
    if (!sonde_mp_read_map(&w->r, &count))
        return false;
    for (; count > 0; count--) {
        if (!sonde_mp_read_u64(&w->r, &kind) || !sonde_mp_read_u64(&w->r, &interval))
            return false;
        if (kind < SPB_KINDS)
            h->interval[kind] = interval;
    }
    return true;
}

static bool read_format(walk *w)
{
    uint64_t version;

    if (!sonde_mp_read_u64(&w->r, &version))
        return false;
    return version == SPB_VERSION ||
           sonde_mp_fail(&w->r, SONDE_ERR_SYNTAX, "another version of the format");
}

static bool read_key(walk *w, spb_hello *h, uint64_t key)
{
    uint8_t previous[SPB_SESSION_LEN];

    switch (key) {
    case SPB_KEY_FORMAT:
        return read_format(w);
    case SPB_KEY_SESSION:
        return read_session(w, h->session);
    case SPB_KEY_SEQ:
        return sonde_mp_read_u64(&w->r, &h->seq);
    case SPB_KEY_START:
        return sonde_mp_read_i64(&w->r, &h->start_unix_ns);
    case SPB_KEY_END:
        return sonde_mp_read_i64(&w->r, &h->end_unix_ns);
    case SPB_KEY_PID:
        return sonde_mp_read_u64(&w->r, &h->pid);
    case SPB_KEY_NSPIDS:
        return read_nspids(w, h);
    case SPB_KEY_TAGS:
        return read_tags(w, h);
    case SPB_KEY_PREVIOUS:
        return sonde_mp_read_nil(&w->r) || read_session(w, previous);
    case SPB_KEY_INTERVALS:
        return read_intervals(w, h);
    case SPB_KEY_FLAGS:
        return sonde_mp_read_u64(&w->r, &h->flags);
    case SPB_KEY_SEQ_BASE:
        return sonde_mp_read_u64(&w->r, &h->seq_base);
    default:
        return key < SPB_KEYS ? take_text(w, &h->text[key]) : sonde_mp_skip(&w->r);
    }
}

static bool read_hello(walk *w)
{
    const uint32_t needed =
        1u << SPB_KEY_FORMAT | 1u << SPB_KEY_SESSION | 1u << SPB_KEY_START | 1u << SPB_KEY_END;
    spb_hello h = { 0 };
    uint32_t keys;
    uint64_t key;

    if (w->left == 0)
        return sonde_mp_fail(&w->r, SONDE_ERR_SYNTAX, "HELLO without its map");
    w->left--;
    if (!sonde_mp_read_map(&w->r, &keys))
        return false;
    for (; keys > 0; keys--) {
        if (!sonde_mp_read_u64(&w->r, &key) || !read_key(w, &h, key))
            return false;
        if (key < SPB_KEYS)
            h.present |= 1u << key;
    }
    if ((h.present & needed) != needed)
        return sonde_mp_fail(&w->r, SONDE_ERR_SYNTAX, "HELLO without format, session or window");
    w->has_hello = true;
    w->seq = h.seq;
    return VISIT(w, hello, &h);
}

/* ---- dictionaries ---- */

static bool read_strings(walk *w)
{
    uint64_t id;
    uint32_t count;
    sonde_str text;

    if (!take_u64(w, &w->left, &id) || !take_list(w, &count))
        return false;
    for (; count > 0; count--, id++) {
        if (!take_text(w, &text) || !VISIT(w, string, id, text))
            return false;
    }
    return true;
}

static bool read_build_id(walk *w, uint32_t *left, sonde_str *out)
{
    *out = (sonde_str){ NULL, 0 };
    if (*left == 0)
        return true;
    (*left)--;
    return sonde_mp_read_nil(&w->r) || sonde_mp_read_bin(&w->r, out);
}

static bool read_mapping(walk *w, uint32_t left)
{
    spb_mapping m;

    return take_u64(w, &left, &m.id) && take_u64(w, &left, &m.start) &&
           take_u64(w, &left, &m.length) && take_u64(w, &left, &m.file_offset) &&
           take_u64(w, &left, &m.bias) && take_u64(w, &left, &m.flags) &&
           take_u64(w, &left, &m.path) && read_build_id(w, &left, &m.build_id) &&
           take_u64(w, &left, &m.device) && take_u64(w, &left, &m.inode) &&
           take_u64(w, &left, &m.mtime_s) && skip(w, left) && VISIT(w, mapping, &m);
}

static bool read_unmap(walk *w, uint32_t left)
{
    uint64_t id;
    int64_t at;

    return take_u64(w, &left, &id) && take_i64(w, &left, &at) && skip(w, left) &&
           VISIT(w, unmap, id, at);
}

static bool read_nodes(walk *w)
{
    spb_node n;
    uint32_t rows;

    if (!take_u64(w, &w->left, &n.id) || !take_rows(w, 3, &rows))
        return false;
    for (; rows > 0; rows--, n.id++) {
        if (!sonde_mp_read_u64(&w->r, &n.parent) || !sonde_mp_read_u64(&w->r, &n.mapping) ||
            !sonde_mp_read_u64(&w->r, &n.address) || !VISIT(w, node, &n))
            return false;
    }
    return true;
}

static bool read_thread(walk *w, uint32_t left)
{
    spb_thread t;

    return take_u64(w, &left, &t.id) && take_u64(w, &left, &t.tid) && take_u64(w, &left, &t.name) &&
           take_u64(w, &left, &t.flags) && take_u64(w, &left, &t.start_ns) &&
           take_u64(w, &left, &t.cpu_ns) && skip(w, left) && VISIT(w, thread, &t);
}

static bool read_context(walk *w, uint32_t left)
{
    spb_context c;

    return take_u64(w, &left, &c.id) && take_u64(w, &left, &c.trace_hi) &&
           take_u64(w, &left, &c.trace_lo) && take_u64(w, &left, &c.span_id) &&
           take_u64(w, &left, &c.local_root_id) && skip(w, left) && VISIT(w, context, &c);
}

static bool read_endpoint(walk *w, uint32_t left)
{
    spb_endpoint e;

    return take_u64(w, &left, &e.local_root_id) && take_u64(w, &left, &e.endpoint) &&
           take_u64(w, &left, &e.type) && take_u64(w, &left, &e.finished) && skip(w, left) &&
           VISIT(w, endpoint, &e);
}

static bool read_code(walk *w, uint32_t left)
{
    spb_code c;

    return take_u64(w, &left, &c.mapping) && take_u64(w, &left, &c.address) &&
           take_u64(w, &left, &c.length) && take_u64(w, &left, &c.name) && skip(w, left) &&
           VISIT(w, code, &c);
}

/* A list of arrays, one each row. */
static bool read_rows(walk *w, bool (*read_row)(walk *w, uint32_t left))
{
    uint32_t count, elements;

    if (!take_list(w, &count))
        return false;
    for (; count > 0; count--) {
        if (!sonde_mp_read_array(&w->r, &elements) || !read_row(w, elements))
            return false;
    }
    return true;
}

/* ---- samples ---- */

static const uint8_t rest_columns[SPB_KINDS] = {
    [SPB_CPU] = 1, [SPB_WALL] = 2,      [SPB_ALLOC] = 2,  [SPB_LOCK] = 4,
    [SPB_IO] = 5,  [SPB_EXCEPTION] = 2, [SPB_CUSTOM] = 3, [SPB_RELEASE] = 4,
};

static bool read_sample(walk *w, spb_sample *s, uint64_t *at)
{
    int64_t dt;

    if (!sonde_mp_read_i64(&w->r, &dt) || !sonde_mp_read_u64(&w->r, &s->thread) ||
        !sonde_mp_read_u64(&w->r, &s->context) || !sonde_mp_read_u64(&w->r, &s->node) ||
        !sonde_mp_read_i64(&w->r, &s->events))
        return false;
    for (unsigned i = 0; i < rest_columns[s->kind]; i++) {
        if (!sonde_mp_read_i64(&w->r, &s->rest[i]))
            return false;
    }
    *at += (uint64_t)dt; /* may wrap: a time outside the window is clamped later */
    s->unix_ns = (int64_t)*at;
    return VISIT(w, sample, s);
}

static bool read_samples(walk *w)
{
    spb_sample s = { 0 };
    uint64_t kind, at;
    uint32_t rows;

    if (!take_u64(w, &w->left, &kind))
        return false;
    if (kind == 0 || kind >= SPB_KINDS)
        return true; /* of a later profiler */
    if (!take_u64(w, &w->left, &at) || !take_rows(w, 5u + rest_columns[kind], &rows))
        return false;
    s.kind = (spb_kind)kind;
    for (; rows > 0; rows--) {
        if (!read_sample(w, &s, &at))
            return false;
    }
    return true;
}

static bool read_live(walk *w)
{
    spb_live l;
    int64_t at;
    uint32_t rows;

    if (!take_i64(w, &w->left, &at) || !take_rows(w, 5, &rows) || !VISIT(w, live_begin, at))
        return false;
    for (; rows > 0; rows--) {
        if (!sonde_mp_read_u64(&w->r, &l.node) || !sonde_mp_read_u64(&w->r, &l.thread) ||
            !sonde_mp_read_i64(&w->r, &l.objects) || !sonde_mp_read_i64(&w->r, &l.bytes) ||
            !sonde_mp_read_u64(&w->r, &l.oldest_age_s) || !VISIT(w, live, &l))
            return false;
    }
    return true;
}

/* ---- counters ---- */

static bool read_parts(walk *w, uint64_t id)
{
    uint32_t count;
    uint64_t part;
    int64_t value;

    if (!sonde_mp_read_map(&w->r, &count))
        return false;
    for (; count > 0; count--) {
        if (!sonde_mp_read_u64(&w->r, &part) || !sonde_mp_read_i64(&w->r, &value) ||
            !VISIT(w, stat, id, part, value))
            return false;
    }
    return true;
}

static bool read_stats(walk *w)
{
    uint32_t count;
    uint64_t id;
    int64_t value;

    if (w->left == 0)
        return true;
    w->left--;
    if (!sonde_mp_read_map(&w->r, &count))
        return false;
    for (; count > 0; count--) {
        if (!sonde_mp_read_u64(&w->r, &id))
            return false;
        if (sonde_mp_peek(&w->r) == SONDE_MP_MAP) {
            if (!read_parts(w, id))
                return false;
        } else if (!sonde_mp_read_i64(&w->r, &value) || !VISIT(w, stat, id, 0, value)) {
            return false;
        }
    }
    return true;
}

static bool read_end(walk *w)
{
    uint64_t seq;

    if (!take_u64(w, &w->left, &seq))
        return false;
    if (seq != w->seq)
        return sonde_mp_fail(&w->r, SONDE_ERR_SYNTAX, "END of another batch");
    w->has_end = true;
    return true;
}

/* ---- records ---- */

static bool read_record(walk *w, uint64_t type)
{
    switch (type) {
    case 0:
        return read_hello(w);
    case 1:
        return read_strings(w);
    case 2:
        return read_rows(w, read_mapping);
    case 3:
        return read_rows(w, read_unmap);
    case 4:
        return read_nodes(w);
    case 5:
        return read_samples(w);
    case 6:
        return read_rows(w, read_thread);
    case 7:
        return read_rows(w, read_context);
    case 8:
        return read_rows(w, read_endpoint);
    case 9:
        return read_live(w);
    case 10:
        return read_stats(w);
    case 11:
        return read_end(w);
    case 12:
        return read_rows(w, read_code);
    default:
        return true;
    }
}

static bool next_record(walk *w)
{
    uint64_t type;

    if (!sonde_mp_read_array(&w->r, &w->left))
        return false;
    if (w->left == 0)
        return sonde_mp_fail(&w->r, SONDE_ERR_SYNTAX, "a record without a type");
    w->left--;
    if (!sonde_mp_read_u64(&w->r, &type))
        return false;
    if ((type == 0) == w->has_hello)
        return sonde_mp_fail(&w->r, SONDE_ERR_SYNTAX,
                             w->has_hello ? "a second HELLO" : "HELLO is not first");
    return read_record(w, type) && skip(w, w->left);
}

sonde_status spb_decode(sonde_str body, const spb_visitor *visitor, void *user,
                        sonde_error *out_error)
{
    walk w = { .v = visitor, .user = user };

    sonde_mp_reader_init(&w.r, body.ptr, body.len);
    while (sonde_mp_left(&w.r) > 0 && w.r.status == SONDE_OK && w.status == SONDE_OK) {
        if (w.has_end)
            (void)sonde_mp_fail(&w.r, SONDE_ERR_SYNTAX, "END is not last");
        else if (!next_record(&w))
            break;
    }
    if (w.status != SONDE_OK)
        return w.status; /* the visitor's business */
    if (w.r.status != SONDE_OK)
        return sonde_fail(out_error, w.r.status, "%s at byte %zu", w.r.error, w.r.error_at);
    if (!w.has_end)
        return sonde_fail(out_error, SONDE_ERR_EOF, "the batch is cut off: no END");
    return SONDE_OK;
}
