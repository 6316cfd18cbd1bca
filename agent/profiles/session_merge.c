/* session_merge.c - ids of a process to ids of a profile: a checked batch is walked twice, for its dictionaries and then
 * for its rows, because a row may stand before the entry it needs. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hex.h"
#include "session.h"

/* ---- dictionaries ---- */

typedef struct merge {
    session *s;
    profile *p;
    int64_t from_unix_ns, to_unix_ns; /* rows outside are clamped */
} merge;

static sonde_status merge_hello(void *user, const spb_hello *h)
{
    merge *m = user;

    if (__builtin_sub_overflow(h->start_unix_ns, (int64_t)WINDOW_ROW_BEFORE_NS, &m->from_unix_ns))
        m->from_unix_ns = INT64_MIN;
    if (__builtin_add_overflow(h->end_unix_ns, (int64_t)WINDOW_ROW_AFTER_NS, &m->to_unix_ns))
        m->to_unix_ns = INT64_MAX;
    return SONDE_OK;
}

/* No memory is an end, a ceiling is a count. */
static sonde_status leave_out(session *s, uint32_t len, uint32_t max)
{
    if (len < max)
        return SONDE_ERR_NOMEM;
    s->counters.left_out++;
    return SONDE_OK;
}

static sonde_status merge_string(void *user, uint64_t id, sonde_str text)
{
    session *s = ((merge *)user)->s;
    sonde_str *items;
    sonde_str copy = { NULL, 0 };

    if (id < s->strings_len)
        return SONDE_OK; /* sent again */
    items = sonde_array_room(s->strings, s->strings_len, &s->strings_cap, sizeof(*items),
                             SESSION_STRINGS_MAX);
    if (!items)
        return leave_out(s, s->strings_len, SESSION_STRINGS_MAX);
    s->strings = items;
    if (text.len) {
        copy = sonde_arena_copy(&s->string_text, text);
        if (!copy.ptr) {
            s->counters.left_out++; /* the id is there, its text is empty */
            copy.len = 0;
        }
    }
    items[s->strings_len++] = copy;
    return SONDE_OK;
}

static sonde_str string_of(const session *s, uint64_t id)
{
    return id < s->strings_len ? s->strings[id] : (sonde_str){ NULL, 0 };
}

/* Makes element `id` of an array indexed by the client's ids. */
static void *room_for(void *items, uint64_t id, uint32_t *len, uint32_t *cap, size_t bytes,
                      uint32_t max)
{
    uint32_t at = *len;

    if (id >= max)
        return NULL;
    while (at <= id || !items) {
        void *grown = sonde_array_room(items, at, cap, bytes, max);

        if (!grown)
            return NULL;
        items = grown;
        at = *cap > id ? (uint32_t)id + 1 : *cap;
    }
    *len = at > *len ? at : *len;
    return items;
}

/* What is in no mapping may be generated code that the profiler has not noticed yet. */
static symbol_object *object_of_the_rest(session *s)
{
    const symbol_request request = { .map_pid = s->pid <= UINT32_MAX ? (uint32_t)s->pid : 0,
                                     .pid = s->host_pid };

    return s->symbols && request.map_pid ? symbols_get(s->symbols, &request) : NULL;
}

static symbol_object *object_of(session *s, const spb_mapping *m)
{
    bool generated = (m->flags & SPB_MAPPING_ANON) && !(m->flags & SPB_MAPPING_VDSO);
    const symbol_request request = {
        .map_pid = generated && s->pid <= UINT32_MAX ? (uint32_t)s->pid : 0,
        .pid = s->host_pid,
        .start = m->start,
        .length = m->length,
        .flags = m->flags,
        .path = string_of(s, m->path),
        .build_id = (const uint8_t *)m->build_id.ptr,
        .build_id_len =
            m->build_id.len < SYMBOLS_BUILD_ID_MAX ? m->build_id.len : SYMBOLS_BUILD_ID_MAX,
        .device = m->device,
        .inode = m->inode,
        .mtime_s = m->mtime_s,
    };

    return s->symbols ? symbols_get(s->symbols, &request) : NULL;
}

static sonde_status merge_mapping(void *user, const spb_mapping *m)
{
    session *s = ((merge *)user)->s;
    session_mapping *items, *to;

    items = room_for(s->mappings, m->id, &s->mappings_len, &s->mappings_cap, sizeof(*items),
                     SESSION_MAPPINGS_MAX);
    if (!items)
        return leave_out(s, m->id < SESSION_MAPPINGS_MAX ? 0 : UINT32_MAX, SESSION_MAPPINGS_MAX);
    s->mappings = items;
    to = &items[m->id];
    if (to->is_known || m->id <= SPB_MAP_SYNTHETIC)
        return SONDE_OK;
    to->what = (profile_mapping){ .start = m->start,
                                  .length = m->length,
                                  .file_offset = m->file_offset,
                                  .bias = m->bias,
                                  .flags = m->flags,
                                  .object = object_of(s, m) };
    to->path = m->path < s->strings_len ? (uint32_t)m->path : 0;
    to->build_id_len =
        (uint8_t)(m->build_id.len < SYMBOLS_BUILD_ID_MAX ? m->build_id.len : SYMBOLS_BUILD_ID_MAX);
    if (to->build_id_len)
        memcpy(to->build_id, m->build_id.ptr, to->build_id_len);
    to->is_known = true;
    return SONDE_OK;
}

static sonde_status merge_node(void *user, const spb_node *n)
{
    session *s = ((merge *)user)->s;
    session_node *items;
    uint32_t depth;

    if (n->id < s->nodes_len)
        return SONDE_OK;
    items =
        sonde_array_room(s->nodes, s->nodes_len, &s->nodes_cap, sizeof(*items), SESSION_NODES_MAX);
    if (!items)
        return leave_out(s, s->nodes_len, SESSION_NODES_MAX);
    s->nodes = items;
    depth = n->parent && n->parent < s->nodes_len ? items[n->parent].depth + 1u : 1u;
    if (depth > PROFILE_DEPTH_MAX) {
        s->counters.too_deep++;
        depth = 1;
    }
    items[s->nodes_len++] = (session_node){ .address = n->address,
                                            .parent = depth > 1 ? (uint32_t)n->parent : 0,
                                            .mapping = n->mapping < SESSION_MAPPINGS_MAX
                                                           ? (uint32_t)n->mapping & 0x3ffffu
                                                           : SESSION_MAPPINGS_MAX,
                                            .depth = depth & 0xfffu };
    return SONDE_OK;
}

static sonde_status merge_thread(void *user, const spb_thread *t)
{
    session *s = ((merge *)user)->s;
    session_thread *items;

    items = room_for(s->threads, t->id, &s->threads_len, &s->threads_cap, sizeof(*items),
                     SESSION_THREADS_MAX);
    if (!items)
        return leave_out(s, t->id < SESSION_THREADS_MAX ? 0 : UINT32_MAX, SESSION_THREADS_MAX);
    s->threads = items;
    items[t->id] =
        (session_thread){ t->tid, t->name < s->strings_len ? (uint32_t)t->name : 0, true };
    if (t->id < s->profile_threads_cap)
        s->profile_threads[t->id] = 0; /* rows from now on have the new name */
    return SONDE_OK;
}

static sonde_status merge_context(void *user, const spb_context *c)
{
    session *s = ((merge *)user)->s;
    session_context *items;
    uint64_t at = c->id - s->contexts_first;

    if (c->id < s->contexts_first)
        return SONDE_OK; /* of two windows ago */
    if (s->contexts_len == 0) {
        s->contexts_first = c->id;
        at = 0;
    }
    items = room_for(s->contexts, at, &s->contexts_len, &s->contexts_cap, sizeof(*items),
                     SESSION_CONTEXTS_MAX);
    if (!items)
        return leave_out(s, at < SESSION_CONTEXTS_MAX ? 0 : UINT32_MAX, SESSION_CONTEXTS_MAX);
    s->contexts = items;
    items[at] = (session_context){ c->span_id, c->local_root_id, true };
    return SONDE_OK;
}

/* How many entries stand before (mapping, address) or at it. */
static uint32_t code_up_to(const session *s, uint32_t mapping, uint64_t address)
{
    uint32_t low = 0, high = s->code_len;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const session_code *c = &s->code[middle];

        if (c->mapping < mapping || (c->mapping == mapping && c->address <= address))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Sorted once the batch has been read. */
static sonde_status merge_code(void *user, const spb_code *c)
{
    session *s = ((merge *)user)->s;
    session_code *items;

    if (c->mapping >= SESSION_MAPPINGS_MAX || c->name >= s->strings_len)
        return leave_out(s, UINT32_MAX, 0);
    items = sonde_array_room(s->code, s->code_len, &s->code_cap, sizeof(*items), SESSION_CODE_MAX);
    if (!items)
        return leave_out(s, s->code_len, SESSION_CODE_MAX);
    s->code = items;
    items[s->code_len] = (session_code){ c->address, c->length, (uint32_t)c->mapping,
                                         (uint32_t)c->name, s->code_len };
    s->code_len++;
    return SONDE_OK;
}

static int by_place(const void *av, const void *bv)
{
    const session_code *a = av, *b = bv;

    if (a->mapping != b->mapping)
        return a->mapping < b->mapping ? -1 : 1;
    if (a->address != b->address)
        return a->address < b->address ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

/* Code at an address takes the place of what was there. */
static void sort_code(session *s)
{
    uint32_t kept = 0;

    if (s->code_len == 0)
        return;
    qsort(s->code, s->code_len, sizeof(*s->code), by_place);
    for (uint32_t i = 0; i < s->code_len; i++) {
        const session_code *c = &s->code[i];

        if (kept && s->code[kept - 1].mapping == c->mapping &&
            s->code[kept - 1].address == c->address)
            kept--;
        s->code[kept++] = *c;
    }
    s->code_len = kept;
    for (uint32_t i = 0; i < kept; i++)
        s->code[i].order = i;
}

/* The name the program itself gave to the code at an address of a mapping; 0: none. */
static uint32_t code_name(const session *s, uint32_t mapping, uint64_t address)
{
    uint32_t at = code_up_to(s, mapping, address);
    const session_code *c = at ? &s->code[at - 1] : NULL;

    return c && c->mapping == mapping && address - c->address < c->length ? c->name : 0;
}

static sonde_status merge_endpoint(void *user, const spb_endpoint *e)
{
    merge *m = user;

    if (e->local_root_id)
        profile_set_endpoint(m->p, e->local_root_id,
                             profile_string(m->p, string_of(m->s, e->endpoint)),
                             profile_string(m->p, string_of(m->s, e->type)), e->finished);
    return SONDE_OK;
}

/* ---- ids of the profile ---- */

static uint32_t profile_mapping_of(session *s, profile *p, uint32_t id)
{
    char hex[SYMBOLS_BUILD_ID_MAX * 2];
    session_mapping *m = &s->mappings[id];
    profile_mapping copy = m->what;

    if (s->profile_mappings[id])
        return s->profile_mappings[id];
    sonde_hex_bytes(m->build_id, m->build_id_len, hex);
    copy.path = profile_string(p, string_of(s, m->path));
    copy.build_id = profile_string(p, (sonde_str){ hex, m->build_id_len * 2u });
    s->profile_mappings[id] = profile_add_mapping(p, &copy);
    return s->profile_mappings[id];
}

static uint32_t location_of(session *s, profile *p, const session_node *n)
{
    uint64_t address = n->address;
    uint32_t location, name;

    if (n->mapping == SPB_MAP_SYNTHETIC) {
        if (address >= PROFILE_KERNEL_SYMBOL)
            address = PROFILE_KERNEL_SYMBOL +
                      (uint64_t)profile_string(p, string_of(s, address - PROFILE_KERNEL_SYMBOL));
        return profile_location_of(p, PROFILE_MAP_SYNTHETIC, address);
    }
    if (n->mapping == SPB_MAP_NONE || n->mapping >= s->mappings_len ||
        !s->mappings[n->mapping].is_known) {
        if (!p->mappings[PROFILE_MAP_NONE].object)
            p->mappings[PROFILE_MAP_NONE].object = object_of_the_rest(s);
        return profile_location_of(p, PROFILE_MAP_NONE, address);
    }
    location = profile_location_of(p, profile_mapping_of(s, p, n->mapping), address);
    name = location && !p->locations[location].symbolized ? code_name(s, n->mapping, address) : 0;
    if (name)
        profile_name_location(p, location, profile_string(p, string_of(s, name)));
    return location;
}

/* The stack `id` in the profile; 0: unknown, or no room. */
static uint32_t profile_stack_of(session *s, profile *p, uint64_t id)
{
    uint32_t path[PROFILE_DEPTH_MAX];
    uint32_t len = 0, at, node;

    if (id == 0 || id >= s->nodes_len)
        return 0;
    for (at = (uint32_t)id; at && !s->profile_nodes[at] && len < PROFILE_DEPTH_MAX;
         at = s->nodes[at].parent)
        path[len++] = at;
    node = at ? s->profile_nodes[at] : 0;
    while (len > 0) {
        at = path[--len];
        node = profile_node_of(p, node, location_of(s, p, &s->nodes[at]));
        if (!node)
            return 0;
        s->profile_nodes[at] = node;
    }
    return node;
}

static uint32_t profile_thread_of(session *s, profile *p, uint64_t id)
{
    if (id >= s->threads_len || !s->threads[id].is_known)
        return 0;
    if (!s->profile_threads[id])
        s->profile_threads[id] = profile_add_thread(
            p, s->threads[id].tid, profile_string(p, string_of(s, s->threads[id].name)));
    return s->profile_threads[id];
}

/* ---- samples ---- */

static int64_t clamp_time(merge *m, int64_t unix_ns)
{
    int64_t clamped = unix_ns < m->from_unix_ns ? m->from_unix_ns
                      : unix_ns > m->to_unix_ns ? m->to_unix_ns
                                                : unix_ns;

    m->s->counters.clamped += clamped != unix_ns;
    return clamped;
}

static void set_context(session *s, uint64_t id, profile_sample *row)
{
    uint64_t at = id - s->contexts_first;

    if (id == 0)
        return;
    if (id < s->contexts_first || at >= s->contexts_len || !s->contexts[at].is_known) {
        s->counters.unknown_contexts++;
        return;
    }
    row->span_id = s->contexts[at].span_id;
    row->local_root_id = s->contexts[at].local_root_id;
}

static uint8_t small(int64_t v)
{
    return v < 0 || v > UINT8_MAX ? UINT8_MAX : (uint8_t)v;
}

static uint32_t text_of(merge *m, int64_t string)
{
    return string < 0 ? 0 : profile_string(m->p, string_of(m->s, (uint64_t)string));
}

static profile_kind io_kind(int64_t operation, int64_t class)
{
    bool writes =
        operation == SPB_IO_WRITE || operation == SPB_IO_SYNC || operation == SPB_IO_CONNECT;

    if (class == SPB_FD_SOCKET)
        return writes ? PROFILE_SOCKET_WRITE : PROFILE_SOCKET_READ;
    return writes ? PROFILE_FILE_WRITE : PROFILE_FILE_READ;
}

/* The columns behind n; false: there is no column for it. */
static bool set_values(merge *m, const spb_sample *s, profile_sample *row)
{
    uint32_t custom;

    row->value[0] = s->rest[0];
    switch (s->kind) {
    case SPB_CPU:
        row->kind = PROFILE_CPU;
        return true;
    case SPB_WALL:
        row->kind = PROFILE_WALL;
        row->detail = small(s->rest[1]);
        return true;
    case SPB_ALLOC:
        row->kind = PROFILE_ALLOC;
        row->value[1] = s->rest[1];
        return true;
    case SPB_LOCK:
    case SPB_RELEASE:
        row->kind = s->kind == SPB_LOCK ? PROFILE_LOCK : PROFILE_RELEASE;
        row->value[1] = s->rest[1];
        row->text = text_of(m, s->rest[2]);
        row->detail = small(s->rest[3]);
        return true;
    case SPB_IO:
        row->kind = (uint8_t)io_kind(s->rest[3], s->rest[4]);
        row->value[1] = s->rest[1];
        row->value[2] = s->rest[2];
        row->detail = small(s->rest[3]);
        return true;
    case SPB_EXCEPTION:
        row->kind = PROFILE_EXCEPTION;
        row->text = text_of(m, s->rest[1]);
        return true;
    default:
        row->kind = PROFILE_CUSTOM;
        custom = profile_custom_of(m->p, text_of(m, s->rest[1]), text_of(m, s->rest[2]));
        row->detail = (uint8_t)custom;
        return custom < PROFILE_CUSTOM_MAX;
    }
}

static sonde_status merge_sample(void *user, const spb_sample *sample)
{
    merge *m = user;
    session *s = m->s;
    profile_sample row = { .end_unix_ns = clamp_time(m, sample->unix_ns),
                           .events = sample->events };

    s->counters.rows++;
    row.node = profile_stack_of(s, m->p, sample->node);
    if (!row.node) {
        profile_lose(m->p,
                     sample->node < s->nodes_len && sample->node ? PROFILE_LOSS_FULL
                                                                 : PROFILE_LOSS_UNKNOWN,
                     1);
        return SONDE_OK;
    }
    row.thread = profile_thread_of(s, m->p, sample->thread);
    set_context(s, sample->context, &row);
    if (set_values(m, sample, &row))
        profile_add(m->p, &row);
    else
        profile_lose(m->p, PROFILE_LOSS_CUSTOM, 1);
    return SONDE_OK;
}

static sonde_status merge_live_begin(void *user, int64_t unix_ns)
{
    (void)unix_ns;
    profile_clear_live(((merge *)user)->p);
    return SONDE_OK;
}

static sonde_status merge_live(void *user, const spb_live *l)
{
    merge *m = user;
    profile_sample row = { .kind = PROFILE_LIVE, .value = { l->objects, l->bytes } };

    row.node = profile_stack_of(m->s, m->p, l->node);
    row.thread = profile_thread_of(m->s, m->p, l->thread);
    if (row.node)
        profile_add_live(m->p, &row);
    else
        m->p->live_lost++;
    return SONDE_OK;
}

static sonde_status merge_stat(void *user, uint64_t id, uint64_t part, int64_t value)
{
    session_stats *to = &((merge *)user)->s->stats;

    if (id < SESSION_STATS_MAX && part < SESSION_PARTS_MAX) {
        to->value[id][part] = id <= SESSION_STATS_SUMMED ? to->value[id][part] + value : value;
        to->present[id] |= 1u << part;
    }
    return SONDE_OK;
}

/* ---- the batch ---- */

/* The tables of a profile's ids: as long as the dictionaries may become with this batch. */
static uint32_t *ids_room(uint32_t *ids, uint32_t *cap, uint32_t want)
{
    uint32_t *grown;

    if (want <= *cap && ids)
        return ids;
    grown = sonde_realloc(ids, want * sizeof(*grown));
    if (!grown)
        return NULL;
    memset(grown + *cap, 0, (want - *cap) * sizeof(*grown));
    *cap = want;
    return grown;
}

/* After the dictionaries have grown, and before the first row that needs them. */
static bool make_room(session *s)
{
    uint32_t *ids;

    ids = ids_room(s->profile_nodes, &s->profile_nodes_cap, s->nodes_cap);
    if (!ids)
        return false;
    s->profile_nodes = ids;
    ids = ids_room(s->profile_mappings, &s->profile_mappings_cap, s->mappings_cap);
    if (!ids)
        return false;
    s->profile_mappings = ids;
    ids = ids_room(s->profile_threads, &s->profile_threads_cap, s->threads_cap);
    if (!ids)
        return false;
    s->profile_threads = ids;
    return true;
}

static void forget_profile_ids(session *s)
{
    if (s->profile_nodes)
        memset(s->profile_nodes, 0, s->profile_nodes_cap * sizeof(*s->profile_nodes));
    if (s->profile_mappings)
        memset(s->profile_mappings, 0, s->profile_mappings_cap * sizeof(*s->profile_mappings));
    if (s->profile_threads)
        memset(s->profile_threads, 0, s->profile_threads_cap * sizeof(*s->profile_threads));
}

static void set_columns(const session *s, profile *p)
{
    static const profile_kind of[SPB_KINDS] = {
        [SPB_CPU] = PROFILE_CPU,   [SPB_WALL] = PROFILE_WALL,           [SPB_ALLOC] = PROFILE_ALLOC,
        [SPB_LOCK] = PROFILE_LOCK, [SPB_EXCEPTION] = PROFILE_EXCEPTION,
    };

    for (spb_kind k = SPB_CPU; k <= SPB_EXCEPTION; k++) {
        if (k != SPB_IO && s->interval[k])
            p->enabled[of[k]] = true;
    }
    if (s->interval[SPB_CPU])
        p->cpu_period_ns = s->interval[SPB_CPU];
    p->timeline = s->flags & SPB_FLAG_TIMELINE;
}

/* A window has ended: spans of the one before it are forgotten. */
static void expire_contexts(session *s)
{
    uint64_t next = s->contexts_first + s->contexts_len;
    uint64_t gone = s->contexts_mark > s->contexts_first ? s->contexts_mark - s->contexts_first : 0;

    if (gone > s->contexts_len)
        gone = s->contexts_len;
    if (gone) {
        memmove(s->contexts, s->contexts + gone, (s->contexts_len - gone) * sizeof(*s->contexts));
        memset(s->contexts + (s->contexts_len - gone), 0, gone * sizeof(*s->contexts));
        s->contexts_len -= (uint32_t)gone;
        s->contexts_first += gone;
    }
    s->contexts_mark = next;
}

sonde_status session_merge(session *s, sonde_str body, profile *into)
{
    static const spb_visitor dictionaries = { .string = merge_string,
                                              .mapping = merge_mapping,
                                              .node = merge_node,
                                              .thread = merge_thread,
                                              .context = merge_context,
                                              .code = merge_code,
                                              .stat = merge_stat };
    static const spb_visitor rows = { .hello = merge_hello,
                                      .sample = merge_sample,
                                      .endpoint = merge_endpoint,
                                      .live_begin = merge_live_begin,
                                      .live = merge_live };
    merge m = { .s = s, .p = into };
    sonde_status status;

    if (s->profile_serial != into->serial) {
        forget_profile_ids(s);
        if (s->profile_serial)
            expire_contexts(s);
        memset(s->stats.value, 0, (SESSION_STATS_SUMMED + 1) * sizeof(s->stats.value[0]));
        s->profile_serial = into->serial;
    }
    set_columns(s, into);
    status = spb_decode(body, &dictionaries, &m, NULL);
    if (status == SONDE_OK && !make_room(s))
        status = SONDE_ERR_NOMEM;
    sort_code(s);
    return status == SONDE_OK ? spb_decode(body, &rows, &m, NULL) : status;
}
