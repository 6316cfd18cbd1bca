/* config.c - options, then environment, then defaults.
 *
 * Each variable is one call of a reader that knows its type; a bad value is reported there, once, with
 * what is used instead. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"

#define TEXTS_MAX_BYTES 65536
#define DEFAULT_SOCKET  "/var/run/datadog/apm.socket"

typedef struct source {
    sonde__config *c;
    sonde__env_lookup lookup;
    void *user;
} source;

static const char *from_process(void *user, const char *name)
{
    (void)user;
    return secure_getenv(name);
}

/* Unset and empty are the same; blanks around a value do not count. */
static sonde_str variable(const source *s, const char *name)
{
    return sonde_str_trim(sonde_str_from(s->lookup(s->user, name)));
}

/* The first of the names (ended by NULL) that is set. */
static sonde_str first_of(const source *s, const char *const *names, const char **out_name)
{
    sonde_str value = { NULL, 0 };

    for (; *names && value.len == 0; names++) {
        value = variable(s, *names);
        *out_name = *names;
    }
    return value;
}

#define VARIABLES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void complain(const char *name, sonde_str value, const char *why, const char *instead)
{
    SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "variable not used: %s=%s reason=\"%s\" using=%s", name,
                     SONDE_LOG_QUOTE(value), why, instead);
}

/* The text with U+FFFD for every byte that is not UTF-8. */
static sonde_str keep_repaired(sonde__config *c, sonde_str text)
{
    char *to = (char *)sonde_arena_alloc(&c->texts, 3 * text.len + 1);
    size_t len = 0;

    if (!to)
        return (sonde_str){ NULL, 0 };
    while (text.len > 0) {
        unsigned rune;
        size_t n = sonde_utf8_decode(text, &rune);

        memcpy(to + len, n ? text.ptr : "\xef\xbf\xbd", n ? n : 3);
        len += n ? n : 3;
        text = sonde_str_sub(text, n ? n : 1, text.len);
    }
    return (sonde_str){ to, len };
}

static sonde_str keep(sonde__config *c, sonde_str text)
{
    if (text.len == 0)
        return (sonde_str){ NULL, 0 };
    return sonde_utf8_valid(text) ? sonde_arena_copy(&c->texts, text) : keep_repaired(c, text);
}

static bool read_bool(const source *s, const char *name, bool fallback)
{
    sonde_str v = variable(s, name);
    bool value = fallback;

    if (sonde_str_eq_nocase(v, SONDE_STR("y")))
        return true;
    if (sonde_str_eq_nocase(v, SONDE_STR("n")))
        return false;
    if (v.len > 0 && sonde_parse_bool(v, &value) != SONDE_OK)
        complain(name, v, "not a boolean", fallback ? "true" : "false");
    return value;
}

static uint64_t read_number(const source *s, const char *const *names, uint64_t min, uint64_t max,
                            uint64_t fallback)
{
    const char *name = names[0];
    sonde_str v = first_of(s, names, &name);
    char instead[24];
    uint64_t value;

    if (v.len == 0)
        return fallback;
    if (sonde_parse_u64(v, &value) == SONDE_OK && value >= min && value <= max)
        return value;
    (void)snprintf(instead, sizeof(instead), "%llu", (unsigned long long)fallback);
    complain(name, v, "not a number in range", instead);
    return fallback;
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
    sonde_str *to;
} identity_key;

/* service, env and version among the tags are fallbacks for the settings of that name. */
static bool take_identity(sonde__config *c, const sonde__tag *tag)
{
    const identity_key keys[] = { { "service", &c->service },
                                  { "env", &c->env },
                                  { "version", &c->version } };
    size_t i;

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (!sonde_str_eq(tag->key, sonde_str_from(keys[i].key)))
            continue;
        if (keys[i].to->len == 0)
            *keys[i].to = keep(c, tag->value);
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
    c->tags[i].key = keep(c, sonde_str_sub(tag->key, 0, sonde_utf8_cut(tag->key, 200)));
    c->tags[i].value = keep(c, sonde_str_sub(tag->value, 0, sonde_utf8_cut(tag->value, 5000)));
    if (c->tags[i].key.len > 0 && i == c->tags_len)
        c->tags_len++;
}

static void read_tags(const source *s, const char *given)
{
    const char *name;
    sonde_str rest =
        given ? sonde_str_from(given)
              : first_of(s, VARIABLES("DD_TAGS", "DD_TRACE_TAGS", "DD_TRACE_GLOBAL_TAGS"), &name);
    bool by_comma = rest.len > 0 && memchr(rest.ptr, ',', rest.len) != NULL;
    sonde__tag tag;

    while (sonde__tags_next(&rest, by_comma, &tag))
        if (!take_identity(s->c, &tag))
            put_tag(s->c, &tag);
}

static sonde_str setting(const source *s, const char *given, const char *const *names)
{
    const char *name;

    return keep(s->c, given && *given ? sonde_str_from(given) : first_of(s, names, &name));
}

static void name_by_executable(sonde__config *c)
{
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
    const char *slash;

    if (len <= 0) {
        c->service = SONDE_STR("unnamed_service");
        return;
    }
    path[len] = '\0';
    slash = strrchr(path, '/');
    c->service = keep(c, sonde_str_from(slash ? slash + 1 : path));
}

static void read_identity(const source *s, const sonde_options *o)
{
    sonde__config *c = s->c;

    c->service = setting(s, o->service, VARIABLES("DD_SERVICE", "DD_SERVICE_NAME"));
    c->env = setting(s, o->env, VARIABLES("DD_ENV"));
    c->version = setting(s, o->version, VARIABLES("DD_VERSION"));
    c->external_env = setting(s, NULL, VARIABLES("DD_EXTERNAL_ENV"));
    read_tags(s, o->tags);
    if (c->service.len == 0)
        name_by_executable(c);
}

/* -- agent ---------------------------------------------------------------------------------------- */

static bool use_url(sonde__config *c, const char *name, sonde_str text)
{
    sonde_error error = { .status = SONDE_OK };

    if (sonde_url_parse(text, &c->agent, &error) != SONDE_OK) {
        complain(name, text, error.message, "the next way to find the agent");
        return false;
    }
    if (c->agent.scheme == SONDE_URL_HTTPS) {
        complain(name, text, "https needs a TLS library, which stays out of this process",
                 "the next way to find the agent");
        return false;
    }
    return true;
}

static bool use_host_and_port(const source *s)
{
    const char *name = "DD_AGENT_HOST";
    sonde_str host = first_of(s, VARIABLES("DD_AGENT_HOST", "DD_TRACE_AGENT_HOSTNAME"), &name);
    const char *port_name;
    sonde_str port_text =
        first_of(s, VARIABLES("DD_TRACE_AGENT_PORT", "DD_AGENT_PORT"), &port_name);
    uint64_t port =
        read_number(s, VARIABLES("DD_TRACE_AGENT_PORT", "DD_AGENT_PORT"), 1, 65535, 8126);
    char text[300];
    bool bare_v6;

    if (host.len == 0 && port_text.len == 0)
        return false;
    if (host.len == 0)
        host = SONDE_STR("localhost");
    bare_v6 = host.ptr[0] != '[' && memchr(host.ptr, ':', host.len) != NULL;
    (void)snprintf(text, sizeof(text), bare_v6 ? "http://[%.*s]:%u" : "http://%.*s:%u",
                   (int)(host.len < 256 ? host.len : 256), host.ptr, (unsigned)port);
    return use_url(s->c, name, sonde_str_from(text));
}

static void find_agent(const source *s, const sonde_options *o)
{
    sonde__config *c = s->c;
    sonde_str url = variable(s, "DD_TRACE_AGENT_URL");

    if (o->agent_url && use_url(c, "agent_url", sonde_str_from(o->agent_url)))
        return;
    if (url.len > 0 && use_url(c, "DD_TRACE_AGENT_URL", url))
        return;
    if (use_host_and_port(s))
        return;
    if (access(DEFAULT_SOCKET, F_OK) == 0 &&
        use_url(c, "default", SONDE_STR("unix://" DEFAULT_SOCKET)))
        return;
    (void)use_url(c, "default", SONDE_STR("http://localhost:8126"));
}

static void write_agent_text(sonde__config *c)
{
    const sonde_url *u = &c->agent;

    if (u->scheme == SONDE_URL_UNIX)
        (void)snprintf(c->agent_text, sizeof(c->agent_text), "unix://%s", u->path);
    else
        (void)snprintf(c->agent_text, sizeof(c->agent_text),
                       strchr(u->host, ':') ? "http://[%s]:%u%s" : "http://%s:%u%s", u->host,
                       (unsigned)u->port, u->path);
}

static uint64_t read_retry_pause(const source *s)
{
    sonde_str v = variable(s, "DD_TRACE_RETRY_INTERVAL");
    uint64_t ns = sonde_ms_to_ns(100);

    if (v.len > 0 && sonde_parse_duration_ns(v, SONDE_NS_PER_MS, &ns) != SONDE_OK)
        complain("DD_TRACE_RETRY_INTERVAL", v, "not a duration", "100ms");
    return ns;
}

static uint64_t read_memory(const source *s, const sonde_options *o)
{
    sonde_str v = variable(s, "SONDE_TRACE_MEMORY");
    uint64_t bytes = SONDE__MEMORY_DEFAULT_BYTES;

    if (o->memory_bytes > 0)
        bytes = o->memory_bytes;
    else if (v.len > 0 && sonde_parse_bytes(v, &bytes) != SONDE_OK)
        complain("SONDE_TRACE_MEMORY", v, "not a size", "16MiB");
    return bytes < SONDE__MEMORY_MIN_BYTES ? SONDE__MEMORY_MIN_BYTES : bytes;
}

static void read_transport(const source *s, const sonde_options *o)
{
    sonde__config *c = s->c;

    find_agent(s, o);
    write_agent_text(c);
    c->memory_bytes = read_memory(s, o);
    c->flush_interval_ns = sonde_ms_to_ns(o->flush_interval_ms ? o->flush_interval_ms : 2000);
    c->stop_timeout_ns = sonde_ms_to_ns(o->stop_timeout_ms ? o->stop_timeout_ms : 2000);
    c->agent_timeout_ns =
        sonde_s_to_ns(read_number(s, VARIABLES("DD_TRACE_AGENT_TIMEOUT"), 1, 3600, 10));
    c->send_retries = (uint32_t)read_number(s, VARIABLES("DD_TRACE_SEND_RETRIES"), 0, 10, 2);
    c->retry_pause_ns = read_retry_pause(s);
    c->partial_flush_len =
        (uint32_t)read_number(s, VARIABLES("DD_TRACE_PARTIAL_FLUSH_MIN_SPANS"), 1, 99999, 300);
    if (!read_bool(s, "DD_TRACE_PARTIAL_FLUSH_ENABLED", true))
        c->partial_flush_len = UINT32_MAX;
}

/* -- propagation ---------------------------------------------------------------------------------- */

static void read_styles(const source *s, const char *const *names, sonde__styles *out)
{
    const char *name = names[0];
    sonde_str list = first_of(s, names, &name);
    sonde_str unknown;

    if (list.len > 0) {
        bool ok = sonde__styles_parse(list, out, &unknown);

        if (unknown.len > 0)
            complain(name, unknown, "unknown propagation style", ok ? "the others" : "the default");
        if (ok)
            return;
    }
    *out = (sonde__styles){ 2, { SONDE__STYLE_DATADOG, SONDE__STYLE_TRACECONTEXT } };
}

static uint32_t read_tags_max(const source *s)
{
    const char *const *names =
        VARIABLES("DD_TRACE_X_DATADOG_TAGS_MAX_LENGTH", "DD_TRACE_TAGS_PROPAGATION_MAX_LENGTH");
    uint64_t value = read_number(s, names, 0, UINT64_MAX, 512);

    return value > 512 ? 512 : (uint32_t)value;
}

static void read_propagation(const source *s)
{
    sonde__config *c = s->c;

    c->id_128_bit = read_bool(s, "DD_TRACE_128_BIT_TRACEID_GENERATION_ENABLED", true);
    c->extract_first = read_bool(s, "DD_TRACE_PROPAGATION_EXTRACT_FIRST", false);
    c->tags_max_bytes = read_tags_max(s);
    read_styles(s,
                VARIABLES("DD_TRACE_PROPAGATION_STYLE_EXTRACT", "DD_PROPAGATION_STYLE_EXTRACT",
                          "DD_TRACE_PROPAGATION_STYLE", "OTEL_PROPAGATORS"),
                &c->extract);
    read_styles(s,
                VARIABLES("DD_TRACE_PROPAGATION_STYLE_INJECT", "DD_PROPAGATION_STYLE_INJECT",
                          "DD_TRACE_PROPAGATION_STYLE", "OTEL_PROPAGATORS"),
                &c->inject);
}

static void set_log_level(const source *s)
{
    const char *name = "DD_TRACE_LOG_LEVEL";
    sonde_str v = first_of(s, VARIABLES("DD_TRACE_LOG_LEVEL", "DD_LOG_LEVEL"), &name);
    sonde_log_level level = SONDE_LOG_INFO;

    if (v.len > 0 && sonde_log_parse_level(v, &level) != SONDE_OK)
        complain(name, v, "not a level", "info");
    if (read_bool(s, "DD_TRACE_DEBUG", false))
        level = SONDE_LOG_DEBUG;
    sonde_log_set_level(level);
}

sonde__config *sonde__config_new(const sonde_options *options, sonde__env_lookup lookup, void *user)
{
    sonde_options o = { 0 };
    source s = { NULL, lookup ? lookup : from_process, user };
    size_t given = sizeof(o);

    if (options && options->struct_bytes > 0 && options->struct_bytes < given)
        given = options->struct_bytes;
    if (options)
        memcpy(&o, options, given);
    s.c = (sonde__config *)sonde_calloc(1, sizeof(*s.c));
    if (!s.c)
        return NULL;
    sonde_arena_init(&s.c->texts, TEXTS_MAX_BYTES);
    set_log_level(&s);
    s.c->enabled = o.enabled ? o.enabled > 0 : read_bool(&s, "DD_TRACE_ENABLED", true);
    read_identity(&s, &o);
    read_transport(&s, &o);
    read_propagation(&s);
    return s.c;
}

void sonde__config_free(sonde__config *c)
{
    if (!c)
        return;
    sonde_arena_done(&c->texts);
    sonde_free(c);
}
