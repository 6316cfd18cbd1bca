/* derive.c - what follows from the keys: addresses, endpoints, local mode, threads, directories. */
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/regex.h"
#include "codec/obfuscate.h"
#include "internal.h"
#include "net/url.h"

#define HOSTNAME_MAX_BYTES    256
#define LOCAL_TRACE_FLUSH_NS  1000000000u
#define TRACE_BUFFER_PAYLOADS 4096
#define LOCAL_TARGET_TPS      1000

static bool is_default(const builder *b, const char *key)
{
    return sonde_str_eq(config_origin(b->c, key), SONDE_STR("default"));
}

/* A value that came by another key: whoever asks where from is told of that one. */
static void take_origin(builder *b, const char *key, const char *from)
{
    const config_key *k = key_find(sonde_str_from(key));

    if (k)
        b->c->origins[k - config_keys] = config_origin(b->c, from);
}

static int count_cpus(const config_options *options)
{
    cpu_set_t set;

    if (options->cpus > 0)
        return options->cpus;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    return 1;
}

static void derive_threads(builder *b)
{
    int cpus = count_cpus(b->options);

    if (b->c->workers == 0)
        b->c->workers = cpus;
    if (b->c->decoders == 0)
        b->c->decoders = cpus > 1 ? cpus / 2 : 1;
    if (b->c->trace_buffer == 0)
        b->c->trace_buffer = TRACE_BUFFER_PAYLOADS;
    if (b->c->writer_connections) {
        b->c->forwarder_requests = b->c->writer_connections;
        take_origin(b, "forwarder_max_concurrent_requests",
                    "apm_config.trace_writer.connection_limit");
    }
    if (b->c->max_connections == 0)
        b->c->max_connections = 1;
    if (b->c->receiver_timeout_ns < 1000000000u)
        b->c->receiver_timeout_ns = 5000000000u;
}

static void derive_hostname(builder *b)
{
    char name[HOSTNAME_MAX_BYTES] = "";

    if (b->c->hostname.len)
        return;
    if (b->options->os_hostname) {
        b->c->hostname = keep(b, sonde_str_from(b->options->os_hostname));
        return;
    }
    if (gethostname(name, sizeof(name) - 1) != 0)
        warn(b, "no host name: hostname is not set and the system has none");
    b->c->hostname = keep(b, sonde_str_from(name));
}

static sonde_str env_tag(const config_list *tags)
{
    for (size_t i = 0; i < tags->len; i++)
        if (sonde_str_starts(tags->items[i], SONDE_STR("env:")) && tags->items[i].len > 4)
            return sonde_str_sub(tags->items[i], 4, tags->items[i].len);
    return (sonde_str){ NULL, 0 };
}

static void derive_env(builder *b)
{
    agent_config *c = b->c;

    c->agent_env = c->apm_env.len ? c->apm_env : c->env;
    if (c->agent_env.len == 0)
        c->agent_env = env_tag(&c->tags);
    if (c->agent_env.len == 0)
        c->agent_env = env_tag(&c->extra_tags);
    if (c->agent_env.len == 0)
        c->agent_env = SONDE_STR("none");
}

/* A site of Datadog's, or a name below one. */
static bool is_datadogs(sonde_str site)
{
    static const sonde_str known[] = { { "datadoghq.com", 13 },
                                       { "datadoghq.eu", 12 },
                                       { "datad0g.com", 11 },
                                       { "datad0g.eu", 10 },
                                       { "ddog-gov.com", 12 } };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (sonde_str_ends(site, known[i]) &&
            (site.len == known[i].len || site.ptr[site.len - known[i].len - 1] == '.'))
            return true;
    }
    return false;
}

/* The intake that stands in for the site's, when one does. */
static bool stand_in(builder *b, const config_stand_in *from, const char *key, sonde_str *out)
{
    sonde_error error;
    sonde_url url;

    if (!from->enabled)
        return false;
    if (sonde_url_parse(from->url, &url, &error) != SONDE_OK) {
        warn(b, "%s.traces.url: %s; not used", key, error.message);
        return false;
    }
    *out = from->url;
    return true;
}

static sonde_str trace_url(builder *b)
{
    agent_config *c = b->c;
    sonde_error error;
    sonde_str instead;
    sonde_url url;

    if (stand_in(b, &c->pipelines, "observability_pipelines_worker", &instead) ||
        stand_in(b, &c->vector, "vector", &instead))
        return instead;
    if (c->apm_dd_url.len) {
        if (sonde_url_parse(c->apm_dd_url, &url, &error) == SONDE_OK)
            return c->apm_dd_url;
        warn(b, "apm_config.apm_dd_url: %s; sending to the site instead", error.message);
    }
    return keep_printf(b, "https://trace.agent.%.*s%s", SONDE_STR_ARG(c->site),
                       c->site_fqdn && is_datadogs(c->site) ? "." : "");
}

/* The main endpoint exists when there is a key for it. */
static void derive_endpoints(builder *b)
{
    agent_config *c = b->c;
    size_t more = c->additional_endpoints.len;
    config_endpoint *items = sonde_arena_alloc(&c->arena, (more + 1) * sizeof(*items));
    sonde_str key = c->apm_api_key.len ? c->apm_api_key : c->api_key;
    size_t len = 0;

    if (!items) {
        b->out_of_memory = true;
        return;
    }
    if (key.len && c->send_to_main)
        items[len++] = (config_endpoint){ trace_url(b), key };
    if (more)
        memcpy(items + len, c->additional_endpoints.items, more * sizeof(*items));
    c->endpoints = (config_endpoints){ items, len + more };
    c->local_mode = c->local == CONFIG_ON || (c->local == CONFIG_AUTO && key.len == 0);
}

/* With only the local intake somebody waits in front of the screen for the trace of the request just
 * made, a request over loopback costs nothing, and nobody pays by the span. */
static void derive_local_only(builder *b)
{
    agent_config *c = b->c;

    if (!c->local_mode || c->endpoints.len > 0)
        return;
    if (is_default(b, "apm_config.trace_writer.flush_period_seconds"))
        c->trace_flush_ns = LOCAL_TRACE_FLUSH_NS;
    if (is_default(b, "apm_config.target_traces_per_second"))
        c->target_tps = LOCAL_TARGET_TPS;
}

/* Former names count where nobody used the present one. */
static void derive_renamed(builder *b)
{
    agent_config *c = b->c;

    if (is_default(b, "apm_config.target_traces_per_second") &&
        !is_default(b, "apm_config.max_traces_per_second")) {
        c->target_tps = c->max_tps;
        take_origin(b, "apm_config.target_traces_per_second", "apm_config.max_traces_per_second");
    }
    if (c->apm_log_file.len) {
        c->log_file = c->apm_log_file;
        take_origin(b, "log_file", "apm_config.log_file");
    }
    if (c->no_log_file) {
        c->log_file = SONDE_STR("");
        take_origin(b, "log_file", "disable_file_logging");
    }
}

static void derive_receiver(builder *b)
{
    if (b->c->receiver_enabled)
        return;
    b->c->receiver_port = 0;
    b->c->net_fd = b->c->unix_fd = b->c->net_client_fd = -1;
    b->c->receiver_socket = SONDE_STR("");
    take_origin(b, "apm_config.receiver_port", "apm_config.receiver_enabled");
    take_origin(b, "apm_config.receiver_socket", "apm_config.receiver_enabled");
}

/* systemd's directory, the service's, the user's. */
static void derive_data_dir(builder *b)
{
    sonde_str dir;

    if (b->c->data_dir.len)
        return;
    if (env_get(b->options, SONDE_STR("STATE_DIRECTORY"), &dir))
        b->c->data_dir = keep(b, dir);
    else if (geteuid() == 0)
        b->c->data_dir = SONDE_STR("/var/lib/sonde");
    else if (env_get(b->options, SONDE_STR("XDG_STATE_HOME"), &dir))
        b->c->data_dir = keep_printf(b, "%.*s/sonde", SONDE_STR_ARG(dir));
    else if (env_get(b->options, SONDE_STR("HOME"), &dir))
        b->c->data_dir = keep_printf(b, "%.*s/.local/state/sonde", SONDE_STR_ARG(dir));
    else
        b->c->data_dir = SONDE_STR("/var/lib/sonde");
}

/* The intake of local mode has a budget of its own, which nobody bounded here. */
static void derive_kill_line(builder *b)
{
    agent_config *c = b->c;
    bool said = !is_default(b, "apm_config.max_memory");

    c->memory_kill_bytes = 0;
    if (said ? c->max_memory_bytes > 0 : !c->local_mode)
        c->memory_kill_bytes = c->memory_limit_bytes + c->memory_limit_bytes / 2;
}

static void derive_egress(builder *b)
{
    agent_config *c = b->c;
    sonde_tls_version version = SONDE_TLS_1_2;
    sonde_buf list;

    if (sonde_tls_version_parse(c->min_tls, &version) != SONDE_OK)
        warn(b, "min_tls_version: %s is none of tlsv1.0, tlsv1.1, tlsv1.2, tlsv1.3; taking tlsv1.2",
             SONDE_LOG_QUOTE(c->min_tls));
    c->egress.min_tls = (int32_t)version;
    sonde_buf_init(&list, CONFIG_VALUE_MAX_BYTES + CONFIG_LIST_MAX);
    for (size_t i = 0; i < c->no_proxy.len; i++)
        sonde_buf_printf(&list, "%s%.*s", i ? "," : "", SONDE_STR_ARG(c->no_proxy.items[i]));
    c->egress.no_proxy = keep(b, sonde_buf_str(&list));
    b->out_of_memory |= list.status != SONDE_OK;
    sonde_buf_done(&list);
}

static void derive_sql(builder *b)
{
    sonde_str *mode = &b->c->sql_obfuscation_mode;

    if (sonde_sql_mode_of(*mode) != SONDE_SQL_UNKNOWN_MODE)
        return;
    warn(b,
         "apm_config.sql_obfuscation_mode: %s is none of obfuscate_only, normalize_only, "
         "obfuscate_and_normalize; taking the default",
         SONDE_LOG_QUOTE(*mode));
    *mode = SONDE_STR("");
}

static void derive_apm_mode(builder *b)
{
    sonde_str *mode = &b->c->apm_mode;

    if (mode->len == 0)
        return;
    if (sonde_str_eq_nocase(*mode, SONDE_STR("edge"))) {
        *mode = SONDE_STR("edge");
        return;
    }
    warn(b, "apm_config.mode: %s is not edge; taking none", SONDE_LOG_QUOTE(*mode));
    *mode = SONDE_STR("");
}

static void derive_storage(builder *b)
{
    if (!b->c->forwarder_storage_path.len)
        b->c->forwarder_storage_path =
            keep_printf(b, "%.*s/forwarder", SONDE_STR_ARG(b->c->data_dir));
}

/* In a container nobody can reach the loopback; images say that they are one. */
static bool is_in_container(const builder *b)
{
    sonde_str value;

    return env_get(b->options, SONDE_STR("DOCKER_DD_AGENT"), &value) && value.len > 0 &&
           !sonde_str_eq_nocase(value, SONDE_STR("false"));
}

static void derive_host(builder *b)
{
    agent_config *c = b->c;

    c->receiver_host = c->bind_host;
    if (c->non_local_traffic || (is_in_container(b) && is_default(b, "bind_host") &&
                                 is_default(b, "apm_config.apm_non_local_traffic")))
        c->receiver_host = SONDE_STR("0.0.0.0");
}

/* Only an address somebody named: a default one may be another program's. */
static void derive_statsd(builder *b)
{
    agent_config *c = b->c;

    if (!c->use_dogstatsd)
        return;
    if (!is_default(b, "dogstatsd_socket") && c->dogstatsd_socket.len)
        c->statsd_socket = c->dogstatsd_socket;
    else if (!is_default(b, "dogstatsd_port"))
        c->statsd_port = (uint16_t)c->dogstatsd_port;
}

/* One that cannot be used: agent/rules passes over it. */
static void check_pattern(builder *b, const char *key, sonde_str pattern)
{
    sonde_str origin = config_origin(b->c, key);
    sonde_regex *re = NULL;
    sonde_error error = { 0 };

    if (pattern.len && sonde_regex_compile(pattern, &re, &error) != SONDE_OK)
        warn(b, "%.*s: %s: %s, passed over", SONDE_STR_ARG(origin), key, error.message);
    sonde_regex_free(re);
}

/* "key:pattern" */
static void check_tag_patterns(builder *b, const char *key, const config_list *items)
{
    for (size_t i = 0; i < items->len; i++) {
        sonde_str item = items->items[i];

        (void)sonde_str_cut(&item, ':');
        check_pattern(b, key, sonde_str_trim(item));
    }
}

static void check_patterns(builder *b)
{
    const agent_config *c = b->c;

    for (size_t i = 0; i < c->ignore_resources.len; i++)
        check_pattern(b, "apm_config.ignore_resources", c->ignore_resources.items[i]);
    check_tag_patterns(b, "apm_config.filter_tags_regex.require", &c->filter_regex_require);
    check_tag_patterns(b, "apm_config.filter_tags_regex.reject", &c->filter_regex_reject);
}

static void check_features(builder *b)
{
    const config_list *features = &b->c->features;
    sonde_str origin = config_origin(b->c, "apm_config.features");

    for (size_t i = 0; i < features->len; i++)
        if (!known_is_feature(features->items[i]))
            note(b, "%.*s: apm_config.features: %.*s has no effect here", SONDE_STR_ARG(origin),
                 SONDE_STR_ARG(features->items[i]));
}

void derive(builder *b)
{
    agent_config *c = b->c;

    derive_threads(b);
    derive_renamed(b);
    derive_receiver(b);
    derive_hostname(b);
    derive_env(b);
    derive_endpoints(b);
    derive_local_only(b);
    derive_data_dir(b);
    derive_storage(b);
    derive_sql(b);
    derive_apm_mode(b);
    derive_egress(b);
    derive_host(b);
    derive_statsd(b);
    if (c->max_memory_bytes) {
        c->memory_limit_bytes = c->max_memory_bytes;
        take_origin(b, "sonde.memory_limit", "apm_config.max_memory");
    }
    derive_kill_line(b);
    check_patterns(b);
    check_features(b);
}
