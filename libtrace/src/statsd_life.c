/* statsd_life.c - statsd clients made, listed, taken through a fork and freed.
 *
 * All of them are in one list, for the thread that tends them and for fork.
 *
 * Locks     list -> shard -> datagrams. */
#include "statsd_client.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/fork.h"
#include "base/log.h"
#include "base/mutex.h"

#include "flusher.h"
#include "statsd_beat.h"
#include "tracer.h"

#define FREE_WAIT_MS     100
#define TEXTS_MAX_BYTES  (64u << 10)
#define DATAGRAM_MIN     64u
#define DATAGRAM_MAX     65507u /* of UDP over IPv4 */
#define INTERVAL_MS      2000u
#define CONTEXTS         4096u
#define CONTEXTS_CEILING (1u << 20)

_Atomic bool sonde__statsd_tended;

static sonde_mutex mu = SONDE_MUTEX_INIT(SONDE_RANK_STATSD);
static pthread_cond_t left; /* a user has left */
static sonde_statsd *clients;

/* -- fork ----------------------------------------------------------------------------------------- */

SONDE_NO_TSA static void prefork(void)
{
    sonde_statsd *s;

    sonde_mutex_lock(&mu);
    for (s = clients; s; s = s->next)
        sonde__statsd_contexts_lock(&s->contexts);
}

SONDE_NO_TSA static void postfork_parent(void)
{
    sonde_statsd *s;

    for (s = clients; s; s = s->next)
        sonde__statsd_contexts_unlock(&s->contexts);
    sonde_mutex_unlock(&mu);
}

/* What was collected is the parent's to send. */
SONDE_NO_TSA static void postfork_child(void)
{
    sonde_statsd *s;

    for (s = clients; s; s = s->next) {
        sonde__statsd_contexts_clear(&s->contexts);
        sonde__statsd_contexts_unlock(&s->contexts);
        sonde__statsd_out_forget(&s->out);
        s->users = 0;
        s->direct = s->refused = s->sampled_out = s->contexts_refused = 0;
        s->is_full = false;
    }
    sonde__statsd_tended = false;
    sonde_cond_init(&left);
    sonde_mutex_unlock(&mu);
}

static const sonde_fork_hooks fork_hooks = { SONDE_RANK_STATSD, prefork, postfork_parent,
                                             postfork_child };
static pthread_once_t once = PTHREAD_ONCE_INIT;
static sonde_status registered;

static void register_once(void)
{
    sonde_cond_init(&left);
    registered = sonde_fork_register(&fork_hooks);
}

/* -- all clients ---------------------------------------------------------------------------------- */

static bool is_due(sonde_statsd *s, uint64_t now_mono_ns, bool all)
{
    if (s->by_hand)
        return false;
    if (!all && now_mono_ns < atomic_load_explicit(&s->due_mono_ns, memory_order_relaxed))
        return false;
    atomic_store_explicit(&s->due_mono_ns, now_mono_ns + s->interval_ns, memory_order_relaxed);
    return true;
}

SONDE_NO_TSA static void send_unlocked(sonde_statsd *s, uint64_t deadline_mono_ns)
{
    s->users++;
    sonde_mutex_unlock(&mu);
    (void)sonde__statsd_send_all(s, deadline_mono_ns, true);
    sonde_mutex_lock(&mu);
    s->users--;
    (void)pthread_cond_broadcast(&left);
}

uint64_t sonde__statsd_send_due(uint64_t now_mono_ns, bool all, uint64_t deadline_mono_ns)
{
    uint64_t next = UINT64_MAX;
    sonde_statsd *s;

    sonde_mutex_lock(&mu);
    for (s = clients; s; s = s->next) {
        uint64_t due;

        if (is_due(s, now_mono_ns, all))
            send_unlocked(s, deadline_mono_ns);
        due = atomic_load_explicit(&s->due_mono_ns, memory_order_relaxed);
        if (!s->by_hand && due < next)
            next = due;
    }
    sonde_mutex_unlock(&mu);
    return next;
}

bool sonde__statsd_has_clients(void)
{
    bool any;

    sonde_mutex_lock(&mu);
    any = clients != NULL;
    sonde_mutex_unlock(&mu);
    return any;
}

static void join_list(sonde_statsd *s)
{
    sonde_mutex_lock(&mu);
    s->next = clients;
    clients = s;
    sonde_mutex_unlock(&mu);
    if (atomic_load_explicit(&sonde__statsd_tended, memory_order_relaxed))
        sonde__beat_hurry(&sonde__statsd_beat);
}

/* Afterwards nobody but the caller knows the client. */
static void leave_list(sonde_statsd *s)
{
    sonde_statsd **link;

    sonde_mutex_lock(&mu);
    while (s->users > 0)
        sonde_cond_wait_until(&left, &mu, UINT64_MAX);
    for (link = &clients; *link && *link != s;)
        link = &(*link)->next;
    if (*link)
        *link = s->next;
    sonde_mutex_unlock(&mu);
}

/* -- life ----------------------------------------------------------------------------------------- */

static sonde_str keep(sonde_statsd *s, const char *text, size_t len)
{
    return sonde_arena_copy(&s->texts, (sonde_str){ text, len });
}

static void add_tag(sonde_buf *b, const char *key, sonde_str value)
{
    if (value.len == 0)
        return;
    if (b->len > 0)
        sonde_buf_append_byte(b, ',');
    sonde_buf_append_str(b, sonde_str_from(key));
    sonde_buf_append_str(b, value);
}

static sonde_status keep_tags(sonde_statsd *s, const char *own, const sonde__config *c)
{
    sonde_status status;
    sonde_buf b;

    sonde_buf_init(&b, TEXTS_MAX_BYTES / 4);
    add_tag(&b, "dd.internal.entity_id:", c->entity_id);
    add_tag(&b, "env:", c->env);
    add_tag(&b, "service:", c->service_is_ours ? (sonde_str){ NULL, 0 } : c->service);
    add_tag(&b, "version:", c->version);
    add_tag(&b, "", sonde_str_from(own));
    if (b.status == SONDE_OK)
        s->shared.tags = keep(s, (const char *)b.data, b.len);
    status = b.status;
    sonde_buf_done(&b);
    return status;
}

static sonde_status keep_texts(sonde_statsd *s, const sonde_statsd_options *o,
                               const sonde__config *c)
{
    char id[SONDE_CONTAINER_ID_MAX] = "";
    char entity[SONDE_CONTAINER_ID_MAX] = "";
    sonde_status status = keep_tags(s, o->tags, c);
    char *at;

    if (c->origin_detection) {
        sonde_container_read(id, entity);
        s->shared.local_data = keep(s, entity, strlen(entity));
        s->shared.external_data = keep(s, c->external_env.ptr, c->external_env.len);
    }
    s->shared.cardinality =
        o->cardinality ? sonde__cardinality_parse(o->cardinality) : c->cardinality;
    s->shared.prefix = keep(s, o->prefix, o->prefix ? strlen(o->prefix) : 0);
    for (at = (char *)(uintptr_t)s->shared.prefix.ptr; at && *at; at++)
        if ((unsigned char)*at < ' ' || *at == ':' || *at == '|' || *at == 0x7f)
            *at = '_';
    if (status == SONDE_OK && (!s->shared.prefix.ptr || !s->shared.tags.ptr))
        status = SONDE_ERR_NOMEM;
    return status;
}

static uint32_t within(uint32_t value, uint32_t fallback, uint32_t min, uint32_t max)
{
    if (value == 0)
        return fallback;
    return value < min ? min : value > max ? max : value;
}

static sonde_status find_address(const sonde_statsd_options *o, const sonde__config *c,
                                 sonde__statsd_address *out)
{
    *out = c->statsd;
    return o->address && o->address[0]
               ? sonde__statsd_address_parse(sonde_str_from(o->address), out)
               : SONDE_OK;
}

static sonde_status open_parts(sonde_statsd *s, const sonde_statsd_options *o,
                               const sonde__config *c)
{
    sonde__statsd_address to;
    uint32_t usual;
    sonde_status status = find_address(o, c, &to);

    if (status != SONDE_OK)
        return status;
    status = keep_texts(s, o, c);
    if (status != SONDE_OK)
        return status;
    status = sonde__statsd_contexts_open(&s->contexts,
                                         within(o->contexts_max, CONTEXTS, 1, CONTEXTS_CEILING),
                                         sonde__statsd_emit_collected, s);
    if (status != SONDE_OK)
        return status;
    usual = to.kind == SONDE__STATSD_UDP ? SONDE__STATSD_UDP_BYTES : SONDE__STATSD_UNIX_BYTES;
    status = sonde__statsd_out_open(
        &s->out, &to, within(o->max_datagram_bytes, usual, DATAGRAM_MIN, DATAGRAM_MAX));
    if (status != SONDE_OK)
        sonde__statsd_contexts_close(&s->contexts);
    return status;
}

sonde_statsd *sonde__statsd_new(const sonde_statsd_options *options, const sonde__config *c)
{
    sonde_statsd *s = (sonde_statsd *)sonde_calloc(1, sizeof(*s));
    sonde_statsd_options o = { 0 };
    sonde_status status;

    (void)pthread_once(&once, register_once);
    if (options)
        sonde__statsd_read_struct(&o, sizeof(o), options, options->struct_bytes);
    if (!s)
        return NULL;
    s->aggregate = o.aggregate >= 0;
    s->pack = o.pack >= 0;
    s->by_hand = o.by_hand > 0;
    s->interval_ns = sonde_ms_to_ns(within(o.flush_interval_ms, INTERVAL_MS, 10, 3600000));
    s->due_mono_ns = sonde__statsd_coarse_mono_ns() + s->interval_ns;
    sonde_arena_init(&s->texts, TEXTS_MAX_BYTES);
    status = registered == SONDE_OK ? open_parts(s, &o, c) : registered;
    if (status == SONDE_OK) {
        join_list(s);
        return s;
    }
    if (status != SONDE_ERR_NOMEM)
        SONDE_LOG_ALWAYS(SONDE_LOG_ERROR, "no statsd client: address=%s reason=\"%s\"",
                         SONDE_LOG_QUOTE(sonde_str_from(o.address)), sonde_status_str(status));
    sonde_arena_done(&s->texts);
    sonde_free(s);
    return NULL;
}

void sonde__statsd_discard(sonde_statsd *s)
{
    if (!s)
        return;
    leave_list(s);
    sonde__statsd_contexts_close(&s->contexts);
    sonde__statsd_out_close(&s->out);
    sonde_arena_done(&s->texts);
    sonde_free(s);
}

static sonde_statsd *new_by_settings(const sonde_statsd_options *options)
{
    const sonde__config *c = sonde__settings_hold();
    sonde_statsd *s = c ? sonde__statsd_new(options, c) : NULL;
    sonde__config *own;

    if (s)
        sonde__flusher_begin(); /* there is something to tend */
    sonde__settings_release();
    if (c)
        return s;
    own = sonde__config_new(NULL, NULL, NULL);
    if (own)
        s = sonde__statsd_new(options, own);
    sonde__config_free(own);
    return s;
}

sonde_statsd *sonde_statsd_new(const sonde_statsd_options *options)
{
    sonde_statsd *s = new_by_settings(options);

    if (s)
        sonde__statsd_out_connect(&s->out);
    return s;
}

/* -- the default client --------------------------------------------------------------------------- */

static _Atomic(sonde_statsd *) standard;
static pthread_once_t standard_once = PTHREAD_ONCE_INIT;

static void at_exit(void)
{
    (void)sonde_statsd_flush(atomic_load_explicit(&standard, memory_order_acquire), FREE_WAIT_MS);
}

static void make_standard(void)
{
    /* pairs with the load in sonde_statsd_default() */
    atomic_store_explicit(&standard, sonde_statsd_new(NULL), memory_order_release);
    (void)atexit(at_exit); /* refused: what is collected last is lost unless the program flushes */
}

sonde_statsd *sonde_statsd_default(void)
{
    sonde_statsd *s = atomic_load_explicit(&standard, memory_order_acquire);

    if (__builtin_expect(s != NULL, 1))
        return s;
    (void)pthread_once(&standard_once, make_standard);
    return atomic_load_explicit(&standard, memory_order_acquire);
}

void sonde_statsd_free(sonde_statsd *s)
{
    if (!s || s == atomic_load_explicit(&standard, memory_order_acquire))
        return;
    (void)sonde_statsd_flush(s, FREE_WAIT_MS);
    sonde__statsd_discard(s);
}
