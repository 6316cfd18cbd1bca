/* catalog.c - an LRU list threaded through the values of a table. */
#include "catalog.h"

#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"

#include "limits.h"

void catalog_init(catalog *c, size_t max_entries)
{
    memset(c, 0, sizeof(*c));
    c->max_entries = max_entries;
    sonde_table_init(&c->by_key, max_entries);
}

void catalog_done(catalog *c)
{
    while (c->oldest)
        catalog_remove(c, c->oldest);
    sonde_table_done(&c->by_key);
}

static void unlink_entry(catalog *c, catalog_entry *e)
{
    if (e->newer)
        e->newer->older = e->older;
    else
        c->newest = e->older;
    if (e->older)
        e->older->newer = e->newer;
    else
        c->oldest = e->newer;
}

static void link_newest(catalog *c, catalog_entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    if (c->newest)
        c->newest->newer = e;
    else
        c->oldest = e;
    c->newest = e;
}

void catalog_remove(catalog *c, catalog_entry *e)
{
    unlink_entry(c, e);
    (void)sonde_table_remove(&c->by_key, (sonde_str){ e->key, e->key_len });
    sonde_free(e);
}

static void remember(catalog *c, sonde_str key, size_t service_len, uint32_t signature)
{
    catalog_entry *e = sonde_malloc(sizeof(*e) + key.len);

    if (!e)
        return;
    if (c->by_key.count >= c->max_entries) {
        catalog_remove(c, c->oldest);
        c->evicted++;
    }
    if (sonde_table_put(&c->by_key, key, e) != SONDE_OK) {
        sonde_free(e);
        return;
    }
    e->signature = signature;
    e->service_len = (uint32_t)service_len;
    e->key_len = (uint32_t)key.len;
    memcpy(e->key, key.ptr, key.len);
    link_newest(c, e);
}

typedef struct service_key {
    size_t service_len;
    char text[SAMPLER_KEY_MAX_BYTES];
} service_key;

/* "service,env", both parts cut to what fits. */
static sonde_str join(service_key *k, sonde_str service, sonde_str env)
{
    sonde_str head = sonde_str_sub(service, 0, SAMPLER_KEY_MAX_BYTES / 2);
    sonde_str tail = sonde_str_sub(env, 0, SAMPLER_KEY_MAX_BYTES / 2 - 1);

    if (head.len)
        memcpy(k->text, head.ptr, head.len);
    k->text[head.len] = ',';
    if (tail.len)
        memcpy(k->text + head.len + 1, tail.ptr, tail.len);
    k->service_len = head.len;
    return (sonde_str){ k->text, head.len + 1 + tail.len };
}

uint32_t catalog_signature(sonde_str service, sonde_str env)
{
    service_key k;
    sonde_str key = join(&k, service, env);

    return sonde_fnv1a32(SONDE_FNV1A32_INIT, key.ptr, key.len);
}

uint32_t catalog_see(catalog *c, sonde_str service, sonde_str env)
{
    service_key k;
    sonde_str key = join(&k, service, env);
    catalog_entry *e = sonde_table_get(&c->by_key, key);
    uint32_t signature;

    if (!e) {
        signature = sonde_fnv1a32(SONDE_FNV1A32_INIT, key.ptr, key.len);
        remember(c, key, k.service_len, signature);
        return signature;
    }
    if (e != c->newest) {
        unlink_entry(c, e);
        link_newest(c, e);
    }
    return e->signature;
}
