/* local_intake_here.c - the intake of the dashboards. */
#include "local_intake.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "dashboards/main/intake_main.h"

struct local_intake {
    intake_main *main;
    char url[300];
};

bool local_intake_exists(void)
{
    return true;
}

/* An address people can click on: the wildcard is not one, and IPv6 wants brackets. */
static void write_url(local_intake *i, const char *host)
{
    bool any = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    bool v6 = !any && strchr(host, ':') != NULL;

    (void)snprintf(i->url, sizeof(i->url), "http://%s%s%s:%u", v6 ? "[" : "",
                   any ? "127.0.0.1" : host, v6 ? "]" : "", (unsigned)intake_main_port(i->main));
}

sonde_status local_intake_open(const agent_config *c, const char *api_keys,
                               local_intake **out_intake, sonde_error *out_error)
{
    local_intake *i = sonde_calloc(1, sizeof(*i));
    sonde_status status;

    if (!i)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "intake");
    status = intake_main_open(
        &(intake_main_options){ .host = c->local_host.ptr,
                                .port = (uint16_t)c->local_port,
                                .data_dir = c->data_dir.ptr,
                                .api_keys = api_keys,
                                .max_store_bytes = c->local_store_bytes,
                                .max_trace_age_s = c->local_retention_ns / SONDE_NS_PER_S },
        &i->main, out_error);
    if (status != SONDE_OK) {
        sonde_free(i);
        return status;
    }
    write_url(i, c->local_host.ptr);
    *out_intake = i;
    return SONDE_OK;
}

const char *local_intake_url(const local_intake *i)
{
    return i->url;
}

void local_intake_close(local_intake *i, uint64_t deadline_mono_ns)
{
    if (!i)
        return;
    intake_main_close(i->main, deadline_mono_ns);
    sonde_free(i);
}
