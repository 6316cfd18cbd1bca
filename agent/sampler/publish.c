/* publish.c - rates of all services, copied under the sampler's lock and written out after it. */
#include "publish.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

#define KEY_EXTRA_BYTES 13 /* "service:" and ",env:" beside the catalogue's own text and comma */

static rates_row *alloc_rows(const priority_sampler *p, char **out_text)
{
    const catalog_entry *e;
    size_t bytes = KEY_EXTRA_BYTES, rows = 1;
    rates_row *block;

    for (e = p->services.newest; e; e = e->older, rows += 2)
        bytes += e->key_len + KEY_EXTRA_BYTES;
    block = sonde_malloc(rows * sizeof(*block) + bytes);
    if (block)
        *out_text = (char *)(block + rows);
    return block;
}

static char *put(char *at, sonde_str s)
{
    if (s.len)
        memcpy(at, s.ptr, s.len);
    return at + s.len;
}

/* Appends "service:<name>,env:<env>" to *text. */
static sonde_str put_key(char **text, sonde_str service, sonde_str env)
{
    char *start = *text, *at = start;

    at = put(at, SONDE_STR("service:"));
    at = put(at, service);
    at = put(at, SONDE_STR(",env:"));
    at = put(at, env);
    *text = at;
    return (sonde_str){ start, (size_t)(at - start) };
}

/* One row for the service; one more without the env when it is the agent's own. */
static void add_rows(rates_copy *copy, sonde_str agent_env, char **text, const catalog_entry *e,
                     double rate)
{
    sonde_str service = { e->key, e->service_len };
    sonde_str env = { e->key + e->service_len + 1, e->key_len - e->service_len - 1 };
    sonde_str key = put_key(text, service, env);

    copy->rows[copy->len++] = (rates_row){ key, rate };
    if (env.len && sonde_str_eq(env, agent_env))
        copy->rows[copy->len++] = (rates_row){ { key.ptr, key.len - env.len }, rate };
}

bool rates_copy_make(rates_copy *copy, priority_sampler *p, sonde_str agent_env)
{
    static const sonde_str none = { NULL, 0 };
    catalog_entry *e, *older;
    char *text;

    copy->rows = alloc_rows(p, &text);
    if (!copy->rows)
        return false;
    copy->rows[copy->len++] =
        (rates_row){ put_key(&text, none, none), rate_core_default_rate(&p->core) };
    for (e = p->services.newest; e; e = older) {
        double rate;

        older = e->older;
        if (rate_core_find(&p->core, e->signature, &rate))
            add_rows(copy, agent_env, &text, e, rate);
        else if (e != p->services.newest) /* that one is being counted just now */
            catalog_remove(&p->services, e);
    }
    return true;
}

void rates_copy_publish(rates_copy *copy, rates_cell *to)
{
    char version[RATES_VERSION_MAX_LEN + 1];
    rates_snapshot *before, *now = NULL;
    sonde_buf body;

    if (!copy->rows)
        return;
    before = rates_cell_get(to);
    sonde_buf_init(&body, RATES_BODY_MAX_BYTES);
    rates_body_write(copy->rows, copy->len, &body);
    if (body.status == SONDE_OK && !sonde_str_eq(sonde_buf_str(&body), before->body)) {
        (void)snprintf(version, sizeof(version), "%llx-%llx", (unsigned long long)copy->now_unix_s,
                       (unsigned long long)copy->update);
        now = rates_new(sonde_buf_str(&body), sonde_str_from(version));
    }
    if (now)
        rates_cell_publish(to, now);
    rates_put(before);
    sonde_buf_done(&body);
    sonde_free(copy->rows);
    copy->rows = NULL;
}
