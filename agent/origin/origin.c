/* origin.c - looks a request's container up, and remembers. */
#include "origin.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/hex.h"
#include "base/mutex.h"
#include "claim.h"
#include "vocab/headers.h"

#define HASHED_TAGS_MAX 64

typedef enum lookup { BY_PROCESS, BY_INODE, BY_POD, LOOKUPS } lookup;

/* One answer; also "unknown" is one. */
typedef struct remembered {
    lookup how;
    uint64_t key;
    uint64_t until_mono_ns;
    container_id id; /* "": unknown */
} remembered;

struct origin {
    const char *proc, *cgroups;
    const sonde_clock *clock;
    char tags[ORIGIN_TAGS_MAX];
    char tags_hash[2 * 32 + 1];
    size_t tags_len;
    sonde_mutex mu; /* guards everything below */
    remembered answers[ORIGIN_REMEMBERED];
    uint64_t next_walk_mono_ns;
    _Atomic uint64_t found[LOOKUPS], unknown[LOOKUPS];
    _Atomic uint64_t walks_put_off;
};

/* ---- tags ---- */

static int by_text(const void *a, const void *b)
{
    return sonde_str_cmp(*(const sonde_str *)a, *(const sonde_str *)b);
}

static bool is_hashed(sonde_str tag)
{
    static const char *const keys[] = {
        "kube_job",       "kube_replica_set", "kube_container_name",
        "kube_namespace", "kube_app_name",    "kube_app_managed_by",
        "service",        "short_image",      "kube_cluster_name",
    };
    sonde_str key = sonde_str_cut(&tag, ':');

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (sonde_str_eq(key, sonde_str_from(keys[i])))
            return true;
    }
    return false;
}

static void hash_tags(origin *o, const config_list *tags)
{
    sonde_str chosen[HASHED_TAGS_MAX];
    char text[ORIGIN_TAGS_MAX];
    uint8_t digest[32];
    size_t len = 0, used = 0;

    for (size_t i = 0; i < tags->len && len < HASHED_TAGS_MAX; i++) {
        if (is_hashed(tags->items[i]))
            chosen[len++] = tags->items[i];
    }
    if (len)
        qsort(chosen, len, sizeof(chosen[0]), by_text);
    for (size_t i = 0; i < len && used + chosen[i].len + 1 < sizeof(text); i++) {
        if (used)
            text[used++] = ',';
        memcpy(text + used, chosen[i].ptr, chosen[i].len);
        used += chosen[i].len;
    }
    sonde_sha256(text, used, digest);
    sonde_hex_bytes(digest, sizeof(digest), o->tags_hash);
}

/* Joined by commas, line ends replaced, as many as fit. */
static void join_tags(origin *o, const config_list *tags)
{
    for (size_t i = 0; i < tags->len; i++) {
        sonde_str tag = tags->items[i];

        if (o->tags_len + tag.len + 1 > sizeof(o->tags))
            return;
        if (o->tags_len)
            o->tags[o->tags_len++] = ',';
        while (tag.len) {
            bool pair = sonde_str_starts(tag, SONDE_STR("\r\n"));
            char c = tag.ptr[0];

            o->tags[o->tags_len++] = c == '\r' || c == '\n' ? '_' : c;
            tag = sonde_str_sub(tag, pair ? 2 : 1, tag.len);
        }
    }
}

/* What a header says may be any text: a tag of it must not become several. */
static bool is_id(sonde_str container)
{
    return container.len <= SONDE_CGROUP_ID_MAX &&
           sonde_cgroup_component_id(container).len == container.len;
}

sonde_str origin_tags(const origin *o, sonde_str container, origin_tags_text room)
{
    static const sonde_str key = { ",container_id:", sizeof(",container_id:") - 1 };
    const size_t comma = o && o->tags_len ? 0 : 1; /* only between two */
    size_t len;

    if (!o || container.len == 0)
        return (sonde_str){ NULL, 0 };
    if (!is_id(container))
        return (sonde_str){ o->tags, o->tags_len };
    memcpy(room, o->tags, o->tags_len);
    len = o->tags_len;
    memcpy(room + len, key.ptr + comma, key.len - comma);
    len += key.len - comma;
    memcpy(room + len, container.ptr, container.len);
    return (sonde_str){ room, len + container.len };
}

const char *origin_tags_hash(const origin *o, sonde_str container)
{
    return o && container.len && o->tags_len ? o->tags_hash : NULL;
}

/* ---- looking up ---- */

static remembered *place_of(origin *o, lookup how, uint64_t key)
{
    uint64_t h = (key ^ (uint64_t)how << 60) * 0x9e3779b97f4a7c15u;

    return &o->answers[h >> 32 & (ORIGIN_REMEMBERED - 1)];
}

/* True: `out` is the answer ("" too). */
static bool recall(origin *o, lookup how, uint64_t key, uint64_t now, container_id out)
{
    const remembered *r = place_of(o, how, key);
    bool known;

    sonde_mutex_lock(&o->mu);
    known = r->how == how && r->key == key && now < r->until_mono_ns;
    if (known)
        memcpy(out, r->id, sizeof(r->id));
    sonde_mutex_unlock(&o->mu);
    return known;
}

static void remember(origin *o, lookup how, uint64_t key, uint64_t now, const container_id id)
{
    remembered *r = place_of(o, how, key);

    sonde_mutex_lock(&o->mu);
    r->how = how;
    r->key = key;
    r->until_mono_ns = sonde_deadline(now, ORIGIN_REMEMBER_NS);
    memcpy(r->id, id, sizeof(r->id));
    sonde_mutex_unlock(&o->mu);
}

/* Walks are dear: one a second, whoever asks. */
static bool may_walk(origin *o, uint64_t now)
{
    bool may;

    sonde_mutex_lock(&o->mu);
    may = now >= o->next_walk_mono_ns;
    if (may)
        o->next_walk_mono_ns = sonde_deadline(now, ORIGIN_WALK_PAUSE_NS);
    sonde_mutex_unlock(&o->mu);
    if (!may)
        atomic_fetch_add_explicit(&o->walks_put_off, 1, memory_order_relaxed);
    return may;
}

static bool look(const origin *o, lookup how, uint64_t key, sonde_str pod_uid, container_id out)
{
    switch (how) {
    case BY_PROCESS:
        return cgroups_of_process(o->proc, (pid_t)key, out);
    case BY_INODE:
        return cgroups_of_inode(o->cgroups, key, out);
    default:
        return cgroups_of_pod(o->cgroups, pod_uid, out);
    }
}

static bool find(origin *o, lookup how, uint64_t key, sonde_str pod_uid, container_id out)
{
    uint64_t now = o->clock->mono_ns(o->clock->user);

    out[0] = '\0';
    if (!recall(o, how, key, now, out)) {
        if (how != BY_PROCESS && !may_walk(o, now))
            return false;
        if (!look(o, how, key, pod_uid, out))
            out[0] = '\0';
        remember(o, how, key, now, out);
    }
    atomic_fetch_add_explicit(out[0] ? &o->found[how] : &o->unknown[how], 1, memory_order_relaxed);
    return out[0] != '\0';
}

static uint64_t hash_text(sonde_str s)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
    return h;
}

sonde_str origin_container_id(origin *o, const http_request *request, container_id room)
{
    const sonde_str stated = sonde_str_trim(http_request_header(request, SONDE_HDR_CONTAINER_ID));
    origin_claim claim = { .cgroup_inode = 0 };
    pid_t peer = 0;

    origin_read_entity(http_request_header(request, SONDE_HDR_ENTITY_ID), &claim);
    if (claim.container_id.len)
        return claim.container_id;
    if (stated.len || !o)
        return stated;
    if (claim.cgroup_inode && find(o, BY_INODE, claim.cgroup_inode, stated, room))
        return sonde_str_from(room);
    peer = http_request_peer_pid(request);
    if (peer > 0 && find(o, BY_PROCESS, (uint64_t)peer, stated, room))
        return sonde_str_from(room);
    origin_read_external(http_request_header(request, SONDE_HDR_EXTERNAL_ENV), &claim);
    if (claim.pod_uid.len && find(o, BY_POD, hash_text(claim.pod_uid), claim.pod_uid, room))
        return sonde_str_from(room);
    return (sonde_str){ NULL, 0 };
}

/* ---- life ---- */

sonde_status origin_open(const origin_options *options, origin **out_origin)
{
    origin *o = sonde_calloc(1, sizeof(*o));

    if (!o)
        return SONDE_ERR_NOMEM;
    o->proc = options->proc ? options->proc : "/proc";
    o->cgroups = options->cgroups ? options->cgroups : "/sys/fs/cgroup";
    o->clock = options->clock ? options->clock : &sonde_system_clock;
    sonde_mutex_init(&o->mu, SONDE_RANK_ROOM);
    if (options->container_tags) {
        join_tags(o, options->container_tags);
        hash_tags(o, options->container_tags);
    }
    *out_origin = o;
    return SONDE_OK;
}

void origin_close(origin *o)
{
    if (!o)
        return;
    sonde_mutex_done(&o->mu);
    sonde_free(o);
}

void origin_write_json(void *arg, sonde_json_writer *w)
{
    static const char *const names[LOOKUPS] = { "by_process", "by_inode", "by_pod" };
    origin *o = arg;

    sonde_json_begin_object(w);
    for (int i = 0; i < LOOKUPS; i++) {
        sonde_json_key(w, sonde_str_from(names[i]));
        sonde_json_begin_object(w);
        sonde_json_put_u64(w, "found", atomic_load_explicit(&o->found[i], memory_order_relaxed));
        sonde_json_put_u64(w, "unknown",
                           atomic_load_explicit(&o->unknown[i], memory_order_relaxed));
        sonde_json_end_object(w);
    }
    sonde_json_put_u64(w, "walks_put_off",
                       atomic_load_explicit(&o->walks_put_off, memory_order_relaxed));
    sonde_json_end_object(w);
}
