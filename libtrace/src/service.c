/* service.c - the table of services and the agent's rates.
 *
 * Rates are kept as the agent sent them, so that a service first used later finds its own.  Each is
 * stored in the service's entry as one word, rate plus one, so that readers need no lock and 0 says
 * "none yet". */
#include "service.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/mutex.h"
#include "base/table.h"
#include "codec/json_read.h"
#include "counters.h"

#define RATES_MAX     SONDE__SERVICES_MAX
#define KEY_MAX_BYTES 512
#define FALLBACK_KEY  "service:,env:"

typedef struct entry {
    sonde_str name;               /* owned; written before the entry is published by `count` */
    bool is_own;                  /* the tracer's name in another case */
    bool is_mapped;               /* written with `name` */
    _Atomic uint64_t rate_plus_1; /* bits of a double; 0: no rates yet */
} entry;

static sonde_mutex mu = SONDE_MUTEX_INIT(SONDE_RANK_STORE);
static entry entries[SONDE__SERVICES_MAX];
static _Atomic uint32_t count;  /* published entries; 0: not open */
static sonde_table by_name;     /* guarded by mu: name -> entry; without number 0 */
static sonde_table by_key;      /* guarded by mu: key of rate_by_service -> element of rates */
static double rates[RATES_MAX]; /* guarded by mu */
static bool rates_known;        /* guarded by mu */
static char own_name[SONDE__SERVICE_MAX_BYTES + 1];
static char env_name[256]; /* guarded by mu */
static char mapping[4096]; /* guarded by mu: "from:to,..." */

static double *find_rate_locked(sonde_str service, sonde_str env)
{
    char key[KEY_MAX_BYTES];
    int len = snprintf(key, sizeof(key), "service:%.*s,env:%.*s", SONDE_STR_ARG(service),
                       SONDE_STR_ARG(env));

    if (len < 0 || (size_t)len >= sizeof(key))
        return NULL;
    return (double *)sonde_table_get(&by_key, (sonde_str){ key, (size_t)len });
}

static void set_rate_locked(entry *e)
{
    const double *rate = find_rate_locked(e->name, sonde_str_from(env_name));
    double plus_1;
    uint64_t bits = 0;

    if (!rate)
        rate = (const double *)sonde_table_get(&by_key, SONDE_STR(FALLBACK_KEY));
    plus_1 = rate ? *rate + 1 : 2;
    if (rates_known)
        memcpy(&bits, &plus_1, sizeof(bits));
    atomic_store_explicit(&e->rate_plus_1, bits, memory_order_relaxed);
}

static void set_rates_locked(void)
{
    uint32_t n = atomic_load_explicit(&count, memory_order_relaxed);
    uint32_t i;

    for (i = 0; i < n; i++)
        set_rate_locked(&entries[i]);
}

static void copy_text(char *to, size_t cap, sonde_str from)
{
    size_t len = sonde_utf8_cut(from, cap - 1);

    memcpy(to, len ? from.ptr : "", len);
    to[len] = '\0';
}

sonde_status sonde__services_open(sonde_str own, sonde_str env)
{
    uint32_t n, i;

    sonde_mutex_lock(&mu);
    n = atomic_load_explicit(&count, memory_order_relaxed);
    if (n == 0) {
        sonde_table_init(&by_name, SONDE__SERVICES_MAX);
        sonde_table_init(&by_key, RATES_MAX);
        n = 1;
    }
    copy_text(own_name, sizeof(own_name), own);
    copy_text(env_name, sizeof(env_name), env);
    entries[0].name = sonde_str_from(own_name);
    sonde_table_clear(&by_key);
    rates_known = false;
    for (i = 0; i < n; i++)
        entries[i].is_own = sonde_str_eq_nocase(entries[i].name, entries[0].name);
    /* pairs with sonde__service_name() */
    atomic_store_explicit(&count, n, memory_order_release);
    set_rates_locked();
    sonde_mutex_unlock(&mu);
    return SONDE_OK;
}

void sonde__services_map(sonde_str text)
{
    char former[sizeof(mapping)];

    sonde_mutex_lock(&mu);
    memcpy(former, mapping, sizeof(former));
    copy_text(mapping, sizeof(mapping), text);
    if (atomic_load_explicit(&count, memory_order_relaxed) > 0 && strcmp(former, mapping) != 0)
        sonde_table_clear(&by_name); /* spans at hand keep their numbers, names get new ones */
    sonde_mutex_unlock(&mu);
}

/* The name to send; true when the mapping has one. */
static bool map_name_locked(sonde_str *name)
{
    sonde_str rest = sonde_str_from(mapping);

    while (rest.len > 0) {
        sonde_str to = sonde_str_cut(&rest, ',');
        sonde_str from = sonde_str_trim(sonde_str_cut(&to, ':'));

        to = sonde_str_trim(to);
        if (to.len == 0 || !sonde_str_eq(from, *name))
            continue;
        *name = (sonde_str){ to.ptr, sonde_utf8_cut(to, SONDE__SERVICE_MAX_BYTES) };
        return true;
    }
    return false;
}

/* The new entry's number; 0 when the table or memory is full. */
static uint32_t add_locked(sonde_str name)
{
    uint32_t n = atomic_load_explicit(&count, memory_order_relaxed);
    entry *e = &entries[n];
    sonde_str sent = name;
    bool is_mapped = map_name_locked(&sent);
    char *copy;

    if (n == 0 || n == SONDE__SERVICES_MAX)
        return 0;
    copy = sonde_strndup(sent.ptr, sent.len);
    if (!copy)
        return 0;
    e->name = (sonde_str){ copy, sent.len };
    e->is_mapped = is_mapped;
    e->is_own = sonde_str_eq_nocase(e->name, entries[0].name);
    if (sonde_table_put(&by_name, name, e) != SONDE_OK) {
        sonde_free(copy);
        return 0;
    }
    set_rate_locked(e);
    /* pairs with sonde__service_name() */
    atomic_store_explicit(&count, n + 1, memory_order_release);
    return n;
}

sonde__service sonde__service_number(sonde_str name)
{
    const entry *known;
    uint32_t number;

    name.len = sonde_utf8_cut(name, SONDE__SERVICE_MAX_BYTES);
    if (name.len == 0)
        return 0;
    sonde_mutex_lock(&mu);
    if (sonde_str_eq(name, entries[0].name)) {
        sonde_mutex_unlock(&mu);
        return 0;
    }
    known = (const entry *)sonde_table_get(&by_name, name);
    number = known ? (uint32_t)(known - entries) : add_locked(name);
    sonde_mutex_unlock(&mu);
    if (number == 0)
        sonde__count(SONDE__SERVICES_REFUSED, 1);
    return (sonde__service)number;
}

sonde_str sonde__service_name(sonde__service s)
{
    /* pairs with add_locked() */
    uint32_t n = atomic_load_explicit(&count, memory_order_acquire);

    return s < n ? entries[s].name : (sonde_str){ NULL, 0 };
}

bool sonde__service_is_mapped(sonde__service s)
{
    return s != 0 && entries[s].is_mapped;
}

bool sonde__service_is_own(sonde__service s)
{
    return s == 0 || entries[s].is_own;
}

bool sonde__service_rate(sonde__service s, double *out_rate)
{
    uint64_t bits = atomic_load_explicit(&entries[s].rate_plus_1, memory_order_relaxed);
    double plus_1;

    if (bits == 0)
        return false;
    memcpy(&plus_1, &bits, sizeof(plus_1));
    *out_rate = plus_1 - 1;
    return true;
}

static void put_rate_locked(sonde_str key, double rate)
{
    size_t n = by_key.count;

    if (n == RATES_MAX || !(rate >= 0) || rate > 1)
        return;
    rates[n] = rate;
    (void)sonde_table_put(&by_key, key, &rates[n]); /* full or no memory: the fallback applies */
}

/* Walks the members of rate_by_service; `apply` false only checks. */
static bool read_rates(sonde_json_reader *r, bool apply)
{
    char key[KEY_MAX_BYTES];
    sonde_json_event e;

    if (sonde_json_next(r) != SONDE_JSON_OBJECT)
        return false;
    while ((e = sonde_json_next(r)) == SONDE_JSON_KEY) {
        sonde_str k = r->text;

        if (k.len < sizeof(key))
            memcpy(key, k.len ? k.ptr : "", k.len);
        e = sonde_json_next(r);
        if (e == SONDE_JSON_NUMBER && apply && k.len < sizeof(key))
            put_rate_locked((sonde_str){ key, k.len }, r->number);
        if (!sonde_json_skip(r, e))
            return false;
    }
    return e == SONDE_JSON_OBJECT_END;
}

/* SONDE_ERR_NOT_FOUND: well formed, but no rates in it. */
static sonde_status read_answer(sonde_str json, bool apply)
{
    sonde_status status = SONDE_ERR_NOT_FOUND;
    sonde_json_reader r;
    sonde_json_event e;

    sonde_json_reader_init(&r, json, KEY_MAX_BYTES);
    if (sonde_json_next(&r) != SONDE_JSON_OBJECT)
        goto bad;
    while ((e = sonde_json_next(&r)) == SONDE_JSON_KEY) {
        if (sonde_str_eq(r.text, SONDE_STR("rate_by_service"))) {
            if (!read_rates(&r, apply))
                goto bad;
            status = SONDE_OK;
        } else if (!sonde_json_skip(&r, sonde_json_next(&r))) {
            goto bad;
        }
    }
    if (e != SONDE_JSON_OBJECT_END || sonde_json_next(&r) != SONDE_JSON_END)
        goto bad;
    sonde_json_reader_done(&r);
    return status;

bad:
    sonde_json_reader_done(&r);
    return SONDE_ERR_SYNTAX;
}

sonde_status sonde__service_rates_update(sonde_str json)
{
    sonde_status status = read_answer(json, false);

    if (status == SONDE_ERR_NOT_FOUND)
        return SONDE_OK;
    if (status != SONDE_OK)
        return status;
    sonde_mutex_lock(&mu);
    sonde_table_clear(&by_key);
    (void)read_answer(json, true);
    rates_known = true;
    set_rates_locked();
    sonde_mutex_unlock(&mu);
    return SONDE_OK;
}

SONDE_NO_TSA void sonde__services_prefork(void)
{
    sonde_mutex_lock(&mu);
}

SONDE_NO_TSA void sonde__services_postfork(void)
{
    sonde_mutex_unlock(&mu);
}
