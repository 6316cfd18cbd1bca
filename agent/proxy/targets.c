/* targets.c - from the configuration to the addresses and keys of each door.
 *
 * A main target needs a key: without one a door is off.  Further targets bring their own keys.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "internal.h"

#define ADDRESS_MAX_BYTES 1280

/* In the arena; empty when memory ran out or the text is too long. */
static sonde_str keep_text(proxy *p, const char *fmt, ...) SONDE_PRINTF(2, 3);
static sonde_str keep_text(proxy *p, const char *fmt, ...)
{
    char text[ADDRESS_MAX_BYTES];
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(text))
        return (sonde_str){ NULL, 0 };
    return sonde_arena_copy(&p->text, (sonde_str){ text, (size_t)n });
}

static void add(proxy *p, proxy_door which, sonde_str url, sonde_str api_key)
{
    door *d = &p->doors[which];

    if (url.len == 0 || api_key.len == 0)
        return;
    if (d->targets_len == PROXY_TARGETS_MAX)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "too many targets, not sending to %.*s",
                         SONDE_STR_ARG(url));
    else
        d->targets[d->targets_len++] = (target){ url, api_key };
}

static int by_url(const void *a, const void *b)
{
    const config_endpoint *x = a, *y = b;
    int order = sonde_str_cmp(x->url, y->url);

    return order ? order : x->api_key.ptr < y->api_key.ptr ? -1 : 1; /* as configured */
}

static sonde_status add_more(proxy *p, proxy_door which, const config_endpoints *more,
                             const char *suffix)
{
    config_endpoint *sorted;

    if (more->len == 0)
        return SONDE_OK;
    sorted = sonde_arena_alloc(&p->text, more->len * sizeof(*sorted));
    if (!sorted)
        return SONDE_ERR_NOMEM;
    memcpy(sorted, more->items, more->len * sizeof(*sorted));
    qsort(sorted, more->len, sizeof(*sorted), by_url);
    for (size_t i = 0; i < more->len; i++)
        add(p, which, keep_text(p, "%.*s%s", SONDE_STR_ARG(sorted[i].url), suffix),
            sorted[i].api_key);
    return SONDE_OK;
}

/* A host becomes an address; what has a scheme is one. */
static sonde_str with_scheme(proxy *p, sonde_str host, const char *suffix)
{
    size_t at;

    return keep_text(p, "%s%.*s%s", sonde_str_find(host, SONDE_STR("://"), &at) ? "" : "https://",
                     SONDE_STR_ARG(host), suffix);
}

/* Doors with one address in the configuration, or one made from the site. */
static sonde_status find_plain(proxy *p)
{
    const config_proxy *c = &p->config->proxy;
    const struct {
        proxy_door door;
        const config_door *configured;
        const char *before_site, *behind_site;
    } rows[] = {
        { DOOR_PROFILING, &c->profiling, "intake.profile.", "/api/v2/profile" },
        { DOOR_TELEMETRY, &c->telemetry, "instrumentation-telemetry-intake.", "" },
        { DOOR_DEBUGGER, &c->debugger, "http-intake.logs.", "/api/v2/logs" },
        { DOOR_DIAGNOSTICS, &c->diagnostics, "debugger-intake.", "/api/v2/debugger" },
        { DOOR_SYMDB, &c->symdb, "debugger-intake.", "/api/v2/debugger" },
    };
    sonde_status status = SONDE_OK;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && status == SONDE_OK; i++) {
        const config_door *d = rows[i].configured;
        sonde_str key = d->api_key.len ? d->api_key : p->config->api_key;

        if (rows[i].door != DOOR_PROFILING || c->profiling_main)
            add(p, rows[i].door,
                d->url.len ? d->url
                           : keep_text(p, "https://%s%.*s%s", rows[i].before_site,
                                       SONDE_STR_ARG(p->config->site), rows[i].behind_site),
                key);
        status = add_more(p, rows[i].door, &d->more, "");
    }
    return status;
}

static sonde_status find_evp(proxy *p)
{
    const config_door *d = &p->config->proxy.evp;
    sonde_str domain = d->url.len ? d->url : p->config->site;

    add(p, DOOR_EVP, with_scheme(p, domain, ""), d->api_key.len ? d->api_key : p->config->api_key);
    return add_more(p, DOOR_EVP, &d->more, "");
}

static sonde_status find_lineage(proxy *p)
{
    const config_door *d = &p->config->proxy.lineage;
    char suffix[64];
    sonde_str host =
        d->url.len ? d->url : keep_text(p, "data-obs-intake.%.*s", SONDE_STR_ARG(p->config->site));

    (void)snprintf(suffix, sizeof(suffix), "/api/v1/lineage?api-version=%d",
                   (int)p->config->proxy.lineage_version);
    add(p, DOOR_LINEAGE, with_scheme(p, host, suffix),
        d->api_key.len ? d->api_key : p->config->api_key);
    return add_more(p, DOOR_LINEAGE, &d->more, suffix);
}

/* Wherever traces go. */
static void find_pipeline(proxy *p)
{
    const config_endpoints *to = &p->config->endpoints;

    for (size_t i = 0; i < to->len; i++)
        add(p, DOOR_PIPELINE,
            keep_text(p, "%.*s/api/v0.1/pipeline_stats", SONDE_STR_ARG(to->items[i].url)),
            to->items[i].api_key);
}

static void find_flare(proxy *p)
{
    char version[32];

    (void)snprintf(version, sizeof(version), "%s", p->agent_version);
    for (char *c = version; *c; c++) {
        if (*c == '.')
            *c = '-';
    }
    add(p, DOOR_FLARE,
        keep_text(p, "https://%s-flare.%.*s/api/ui/support/serverless/flare", version,
                  SONDE_STR_ARG(p->config->site)),
        p->config->api_key);
}

/* Not over HTTP (statsd.c): the address is for people. */
static void find_statsd(proxy *p)
{
    const agent_config *c = p->config;
    door *d = &p->doors[DOOR_STATSD];

    if (c->statsd_socket.len)
        d->targets[0].url = keep_text(p, "unix://%.*s", SONDE_STR_ARG(c->statsd_socket));
    else if (c->statsd_port)
        d->targets[0].url = keep_text(p, "udp://127.0.0.1:%u", c->statsd_port);
    d->targets_len = d->targets[0].url.len > 0;
}

sonde_status targets_find(proxy *p)
{
    const config_proxy *c = &p->config->proxy;
    sonde_status status = find_plain(p);

    if (p->local_url) /* it takes any key */
        add(p, DOOR_PROFILING, keep_text(p, "%s/api/v2/profile", p->local_url), SONDE_STR("local"));
    p->doors[DOOR_TELEMETRY].disabled = !c->telemetry_enabled;
    p->doors[DOOR_EVP].disabled = !c->evp_enabled;
    p->doors[DOOR_LINEAGE].disabled = !c->lineage_enabled;
    p->doors[DOOR_PROFILING].disabled =
        !c->profiling_main && p->doors[DOOR_PROFILING].targets_len == 0;
    if (status == SONDE_OK)
        status = find_evp(p);
    if (status == SONDE_OK)
        status = find_lineage(p);
    find_pipeline(p);
    find_flare(p);
    find_statsd(p);
    return status;
}
