/* config.c - what follows from several settings at once: identity, the agent's address, styles. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/process_tags.h"
#include "sonde/version.h"
#include "vocab/tags.h"

#include "config_read.h"
#include "otel_env.h"

#define TEXTS_MAX_BYTES 262144
#define DEFAULT_SOCKET  "/var/run/datadog/apm.socket"
#define STATSD_SOCKET   "/var/run/datadog/dsd.socket"
#define FIELD(name)     offsetof(sonde__config, name)

sonde__setting *sonde__setting_of(sonde__config *c, size_t field)
{
    size_t i = 0;

    while (i + 1 < sonde__rows_len && sonde__rows[i].field != field)
        i++;
    return &c->settings[i];
}

static bool is_given(sonde__config *c, size_t field)
{
    return sonde__setting_of(c, field)->origin > SONDE__ORIGIN_CALCULATED;
}

static void set_calculated(sonde__config *c, size_t field, sonde_str value)
{
    sonde__setting *s = sonde__setting_of(c, field);

    s->value = value;
    s->origin = SONDE__ORIGIN_CALCULATED;
    s->given[SONDE__ORIGIN_CALCULATED] = value;
}

/* -- identity ------------------------------------------------------------------------------------- */

bool sonde__tags_next(sonde_str *rest, bool by_comma, sonde__tag *out)
{
    while (rest->len > 0) {
        sonde_str item;

        if (by_comma) {
            item = sonde_str_cut(rest, ',');
        } else {
            size_t n = 0;

            while (n < rest->len && !strchr(" \t\r\n", rest->ptr[n]))
                n++;
            item = sonde_str_sub(*rest, 0, n);
            *rest = sonde_str_sub(*rest, n + 1, rest->len);
        }
        out->value = item;
        out->key = sonde_str_trim(sonde_str_cut(&out->value, ':'));
        out->value = sonde_str_trim(out->value);
        if (out->key.len > 0)
            return true;
    }
    return false;
}

typedef struct identity_key {
    const char *key;
    size_t field;
} identity_key;

/* These are no tags but fallbacks for the settings of that name. */
static bool take_identity(sonde__config *c, const sonde__tag *tag)
{
    static const identity_key keys[] = { { "service", FIELD(service) },
                                         { "env", FIELD(env) },
                                         { "version", FIELD(version) },
                                         { "git.repository_url", FIELD(git_repository) },
                                         { "git.commit.sha", FIELD(git_commit) } };
    size_t i;

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        sonde_str *to = (sonde_str *)(void *)((char *)c + keys[i].field);

        if (!sonde_str_eq(tag->key, sonde_str_from(keys[i].key)))
            continue;
        if (to->len == 0) {
            *to = sonde__config_keep(c, tag->value);
            set_calculated(c, keys[i].field, *to);
        }
        return true;
    }
    return false;
}

static void put_tag(sonde__config *c, const sonde__tag *tag)
{
    uint32_t i;

    for (i = 0; i < c->tags_len; i++)
        if (sonde_str_eq(c->tags[i].key, tag->key))
            break;
    if (i == SONDE__DEFAULT_TAGS_MAX)
        return;
    c->tags[i].key =
        sonde__config_keep(c, sonde_str_sub(tag->key, 0, sonde_utf8_cut(tag->key, 200)));
    c->tags[i].value =
        sonde__config_keep(c, sonde_str_sub(tag->value, 0, sonde_utf8_cut(tag->value, 5000)));
    if (c->tags[i].key.len > 0 && i == c->tags_len)
        c->tags_len++;
}

static sonde_str with_commas(sonde__config *c, sonde_str text)
{
    char *copy;
    size_t i;

    if (text.len == 0 || !memchr(text.ptr, SONDE__OTEL_COMMA, text.len))
        return text;
    copy = (char *)sonde_arena_alloc(&c->texts, text.len);
    for (i = 0; copy && i < text.len; i++)
        copy[i] = text.ptr[i] == SONDE__OTEL_COMMA ? ',' : text.ptr[i];
    return (sonde_str){ copy, copy ? text.len : 0 };
}

static void read_tags(sonde__config *c)
{
    sonde__setting *setting = sonde__setting_of(c, FIELD(tags_text));
    bool is_otel = setting->origin == SONDE__ORIGIN_OTEL;
    sonde_str rest = c->tags_text;
    bool by_comma = rest.len > 0 && memchr(rest.ptr, ',', rest.len) != NULL;
    sonde__tag tag;

    while (sonde__tags_next(&rest, by_comma, &tag)) {
        if (is_otel)
            tag = (sonde__tag){ with_commas(c, tag.key), with_commas(c, tag.value) };
        if (!take_identity(c, &tag))
            put_tag(c, &tag);
    }
    if (is_otel)
        setting->value = setting->given[SONDE__ORIGIN_OTEL] = with_commas(c, setting->value);
}

static sonde_str executable_path(char *path, size_t cap)
{
    ssize_t len = readlink("/proc/self/exe", path, cap);

    return (sonde_str){ path, len > 0 ? (size_t)len : 0 };
}

static void name_by_executable(sonde__config *c, sonde_str name)
{
    while (name.len > 0 && memchr(name.ptr, '/', name.len))
        (void)sonde_str_cut(&name, '/');
    c->service = name.len > 0 ? sonde__config_keep(c, name) : SONDE_STR("unnamed_service");
    if (c->service.len == 0)
        c->service = SONDE_STR("unnamed_service"); /* no memory */
    c->service_is_ours = true;
    set_calculated(c, FIELD(service), c->service);
}

static void find_hostname(sonde__config *c)
{
    char name[256] = "";

    if (c->source_hostname.len > 0)
        c->hostname = c->source_hostname;
    if (c->hostname.len > 0)
        return;
    (void)gethostname(name, sizeof(name) - 1);
    c->hostname = name[0] ? sonde__config_keep(c, sonde_str_from(name)) : SONDE_STR("unknown");
    set_calculated(c, FIELD(hostname), c->hostname);
}

static void describe_process(sonde__config *c, sonde_str executable)
{
    char workdir[4096] = "";
    char tags[SONDE_PROCESS_TAGS_MAX_BYTES];
    sonde_str ours = { NULL, 0 };
    size_t len;

    if (!c->process_tags_enabled)
        return;
    if (!getcwd(workdir, sizeof(workdir)))
        workdir[0] = '\0';
    if (c->service_is_ours)
        ours = c->service;
    len = sonde_process_tags(executable, sonde_str_from(workdir), ours, tags);
    c->process_tags = sonde__config_keep(c, (sonde_str){ tags, len });
}

static sonde_str given_or(sonde__config *c, const char *given, sonde_str fallback)
{
    sonde_str kept = sonde__config_keep(c, sonde_str_from(given));

    return kept.len > 0 ? kept : fallback;
}

static void name_library(sonde__config *c, const sonde_options *o)
{
    c->language = given_or(c, o->language, SONDE_STR(SONDE__LANGUAGE));
    c->tracer_version = given_or(c, o->tracer_version, SONDE_STR(SONDE_VERSION));
}

static void put_chunk_tag(sonde__config *c, const char *key, sonde_str value)
{
    if (value.len > 0)
        c->chunk_tags[c->chunk_tags_len++] = (sonde__tag){ sonde_str_from(key), value };
}

static void settle_identity(sonde__config *c)
{
    char path[4096];
    sonde_str executable = executable_path(path, sizeof(path));

    read_tags(c);
    if (c->service.len == 0)
        name_by_executable(c, executable);
    find_hostname(c);
    describe_process(c, executable);
    c->git_repository = sonde__without_user(c, c->git_repository); /* of the tags */
    if (c->report_hostname || c->source_hostname.len > 0)
        put_chunk_tag(c, SONDE_TAG_HOSTNAME, c->hostname);
    if (c->git_metadata) {
        put_chunk_tag(c, SONDE_TAG_GIT_REPOSITORY, c->git_repository);
        put_chunk_tag(c, SONDE_TAG_GIT_COMMIT, c->git_commit);
    }
    put_chunk_tag(c, SONDE_TAG_PROCESS_TAGS, c->process_tags);
}

/* -- agent ---------------------------------------------------------------------------------------- */

static bool use_url(sonde__config *c, const char *name, sonde_str text)
{
    sonde_error error = { .status = SONDE_OK };

    if (sonde_url_parse(text, &c->agent, &error) == SONDE_OK)
        return true;
    sonde__config_complain(name, text, error.message, SONDE_STR("the next way to find the agent"));
    return false;
}

static bool use_host_and_port(sonde__config *c)
{
    char text[300];

    if (!is_given(c, FIELD(agent_host)) && !is_given(c, FIELD(agent_port)))
        return false;
    sonde_url_write_http(c->agent_host, c->agent_port, text, sizeof(text));
    return use_url(c, "DD_AGENT_HOST", sonde_str_from(text));
}

static void find_agent(sonde__config *c)
{
    if (c->agent_url.len > 0 && use_url(c, "DD_TRACE_AGENT_URL", c->agent_url))
        return;
    if (use_host_and_port(c))
        return;
    if (access(DEFAULT_SOCKET, F_OK) == 0 &&
        use_url(c, "default", SONDE_STR("unix://" DEFAULT_SOCKET)))
        return;
    (void)use_url(c, "default", SONDE_STR("http://localhost:8126"));
}

/* "host:port" as a metrics address; an IPv6 host with or without brackets. */
static bool use_statsd_text(sonde__config *c, sonde_str host)
{
    bool is_bare_v6 = host.len > 0 && host.ptr[0] != '[' && memchr(host.ptr, ':', host.len) != NULL;
    char text[300];

    if (host.len == 0)
        return false;
    (void)snprintf(text, sizeof(text), is_bare_v6 ? "[%.*s]:%u" : "%.*s:%u",
                   (int)(host.len < 256 ? host.len : 256), host.ptr, (unsigned)c->statsd_port);
    return sonde__statsd_address_parse(sonde_str_from(text), &c->statsd) == SONDE_OK;
}

/* Where the agent is: DD_AGENT_HOST is for all that goes there, DD_TRACE_AGENT_URL for traces. */
static void use_agents_host(sonde__config *c)
{
    const char *host = c->agent.scheme == SONDE_URL_UNIX ? "localhost" : c->agent.host;

    if (is_given(c, FIELD(agent_host)) && use_statsd_text(c, c->agent_host))
        return;
    memcpy(c->statsd.host, host, strlen(host) + 1);
    c->statsd.port = (uint16_t)c->statsd_port;
}

static void use_statsd_host(sonde__config *c)
{
    bool is_told = is_given(c, FIELD(statsd_host)) || is_given(c, FIELD(statsd_port));

    if (!use_statsd_text(c, c->statsd_host)) {
        use_agents_host(c);
        if (c->statsd_host.len > 0)
            sonde__config_complain("DD_DOGSTATSD_HOST", c->statsd_host, "not a host",
                                   sonde_str_from(c->statsd.host));
        set_calculated(c, FIELD(statsd_host), sonde_str_from(c->statsd.host));
    }
    c->statsd.port_is_told = !is_told;
}

static void find_statsd(sonde__config *c)
{
    bool is_told = is_given(c, FIELD(statsd_host)) || is_given(c, FIELD(statsd_port));
    sonde_str url = c->statsd_url;
    char text[300];

    if (url.len == 0 && !is_told && access(STATSD_SOCKET, F_OK) == 0)
        url = SONDE_STR("unix://" STATSD_SOCKET);
    if (url.len == 0 || sonde__statsd_address_parse(url, &c->statsd) != SONDE_OK)
        use_statsd_host(c);
    if (c->statsd_url.len > 0)
        return;
    sonde__statsd_address_print(&c->statsd, text);
    set_calculated(c, FIELD(statsd_url), sonde__config_keep(c, sonde_str_from(text)));
}

static void settle_metrics(sonde__config *c)
{
    find_statsd(c);
    if (is_given(c, FIELD(cardinality)))
        c->cardinality++; /* from the choice to enum sonde__cardinality */
}

static void settle_transport(sonde__config *c)
{
    c->api_version %= SONDE__APIS;
    c->events_told = is_given(c, FIELD(native_events));
    if (c->attribute_schema > 0 && !c->peer_defaults) {
        c->peer_defaults = true;
        set_calculated(c, FIELD(peer_defaults), SONDE_STR("true"));
    }
    find_agent(c);
    sonde_url_write(&c->agent, c->agent_text, sizeof(c->agent_text));
    if (c->agent_url.len == 0)
        set_calculated(c, FIELD(agent_url), sonde_str_from(c->agent_text));
    if (!c->partial_flush)
        c->partial_flush_len = UINT32_MAX;
}

/* -- propagation ---------------------------------------------------------------------------------- */

/* One direction follows the common setting unless it was given itself. */
static void settle_styles(sonde__config *c, size_t field)
{
    sonde__styles *styles = (sonde__styles *)(void *)((char *)c + field);

    if (is_given(c, field))
        return;
    *styles = c->styles;
    set_calculated(c, field, sonde__setting_of(c, FIELD(styles))->value);
}

static void apply_log_level(const sonde__config *c)
{
    sonde_log_set_level(c->debug ? SONDE_LOG_DEBUG : c->log_level);
}

static void read_rows(sonde__config *c, const sonde__sources *from)
{
    size_t i;

    for (i = 0; i < sonde__rows_len; i++) {
        sonde__setting_read(c, i, from);
        if (sonde__rows[i].field == FIELD(debug))
            apply_log_level(c); /* the first rows: the others may complain */
    }
}

static void settle_products(sonde__config *c)
{
    if (!c->appsec_standalone || is_given(c, FIELD(apm_tracing)))
        return;
    c->apm_tracing = false;
    set_calculated(c, FIELD(apm_tracing), SONDE_STR("false"));
}

/* Nobody has it; a program that relies on it should know. */
static void settle_ignore_parent(sonde__config *c)
{
    sonde__setting *s = sonde__setting_of(c, FIELD(ignore_parent));

    if (!c->ignore_parent)
        return;
    sonde__config_complain(s->name, s->value, "not to be had here", SONDE_STR("false"));
    s->bad |= 1u << s->origin;
    c->ignore_parent = false;
    set_calculated(c, FIELD(ignore_parent), SONDE_STR("false"));
}

static void settle_http(sonde__config *c)
{
    sonde_str ours = SONDE_STR("builtin");
    sonde_error error = { .status = SONDE_OK };
    sonde_status status;

    if (c->query_regexp.len == 0 || sonde_str_eq(c->query_regexp, ours))
        return;
    status = sonde__query_pattern_new(c->query_regexp, &c->query_pattern, &error);
    if (status == SONDE_OK)
        return;
    sonde__config_complain("DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP", c->query_regexp,
                           error.message[0] ? error.message : sonde_status_str(status), ours);
    c->query_regexp = ours;
}

static void settle(sonde__config *c)
{
    c->stats_asked_for = is_given(c, FIELD(stats_computation));
    settle_http(c);
    settle_products(c);
    settle_ignore_parent(c);
    settle_identity(c);
    settle_transport(c);
    settle_metrics(c);
    settle_styles(c, FIELD(extract));
    settle_styles(c, FIELD(inject));
}

/* -- sources -------------------------------------------------------------------------------------- */

static const char *from_process(void *user, const char *name)
{
    (void)user;
    return secure_getenv(name);
}

/* What fits of the arguments, each ended by NUL. */
static sonde_str read_arguments(char *to, size_t cap)
{
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, to, cap);

    if (fd >= 0)
        (void)close(fd);
    return (sonde_str){ to, n > 0 ? (size_t)n : 0 };
}

typedef struct stable_file {
    const char *path; /* NULL: none */
    sonde__stable content;
    sonde_status status;
} stable_file;

static void load_file(stable_file *file, const sonde__process *process)
{
    memset(&file->content, 0, sizeof(file->content));
    file->status = file->path ? sonde__stable_load(file->path, process, &file->content) : SONDE_OK;
}

static void report_file(const stable_file *file)
{
    if (file->status != SONDE_OK)
        SONDE_LOG_ALWAYS(SONDE_LOG_DEBUG, "configuration file not used: file=%s reason=\"%s\"",
                         file->path, sonde_status_str(file->status));
}

static void note_otel(sonde__config *c, const sonde__otel *otel, const sonde__sources *from)
{
    unsigned i;

    memcpy(c->otel, otel->state, sizeof(c->otel));
    for (i = 0; sonde__otel_unsupported(i); i++) {
        const char *value = from->lookup(from->user, sonde__otel_unsupported(i));

        if (value && *value)
            c->otel_unsupported |= 1u << i;
    }
}

static void read_all(sonde__config *c, sonde__sources *from, stable_file *local, stable_file *fleet)
{
    char arguments[8192];
    sonde__process process = { .variable = from->lookup, .user = from->user };
    sonde__otel otel;

    process.language = c->language;
    process.arguments = read_arguments(arguments, sizeof(arguments));
    load_file(local, &process);
    load_file(fleet, &process);
    sonde__otel_read(&otel, from->lookup, from->user);
    from->local = &local->content;
    from->fleet = &fleet->content;
    from->otel = &otel;
    note_otel(c, &otel, from);
    read_rows(c, from);
    report_file(local);
    report_file(fleet);
    sonde__otel_warn(&otel);
    c->local_id = sonde__config_keep(c, local->content.config_id);
    c->fleet_id = sonde__config_keep(c, fleet->content.config_id);
    sonde__stable_done(&local->content);
    sonde__stable_done(&fleet->content);
}

sonde__config *sonde__config_new_with_files(const sonde_options *options, sonde__env_lookup lookup,
                                            void *user, const char *local_path,
                                            const char *fleet_path)
{
    sonde_options o = { 0 };
    sonde__sources from = { .options = &o, .lookup = lookup ? lookup : from_process, .user = user };
    stable_file local = { .path = local_path };
    stable_file fleet = { .path = fleet_path };
    size_t given = sizeof(o);
    sonde__config *c = (sonde__config *)sonde_calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    if (options && options->struct_bytes > 0 && options->struct_bytes < given)
        given = options->struct_bytes;
    if (options)
        memcpy(&o, options, given);
    sonde_arena_init(&c->texts, TEXTS_MAX_BYTES);
    name_library(c, &o);
    read_all(c, &from, &local, &fleet);
    settle(c);
    return c;
}

sonde__config *sonde__config_new(const sonde_options *options, sonde__env_lookup lookup, void *user)
{
    return sonde__config_new_with_files(options, lookup, user, lookup ? NULL : SONDE__STABLE_LOCAL,
                                        lookup ? NULL : SONDE__STABLE_FLEET);
}

void sonde__config_free(sonde__config *c)
{
    if (!c)
        return;
    sonde__query_pattern_free(c->query_pattern);
    sonde_arena_done(&c->texts);
    sonde_free(c);
}
