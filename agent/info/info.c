/* info.c - the life of /info and its digest, and the status document.
 *
 * Threads   sources only grow: written by agent/main, read up to an acquired length.
 */
#include "info.h"

#include <stdatomic.h>
#include <unistd.h>

#include "agent/payload/normalize.h"
#include "base/alloc.h"
#include "base/digest.h"
#include "base/hex.h"

#include "body.h"

#define INFO_MAX_BYTES (256u * 1024)

struct info {
    agent_config *config; /* shared */
    const char *version;
    const char *commit;
    origin *origin;           /* borrowed; NULL: none */
    const sonde_clock *clock; /* borrowed */
    int64_t started_unix_ns;
    sonde_buf body;
    char state[INFO_STATE_LEN + 1];
    info_source sources[INFO_SOURCES_MAX];
    _Atomic size_t sources_len;
};

static sonde_status make_body(info *i, const info_options *options)
{
    uint8_t digest[INFO_STATE_LEN / 2];
    sonde_arena scratch;
    sonde_str env;
    sonde_status status;

    sonde_arena_init(&scratch, INFO_MAX_BYTES);
    status = normalize_tag_value(&scratch, i->config->agent_env, &env);
    if (status == SONDE_OK) {
        write_info_body(&i->body, i->config, options, env);
        status = i->body.status;
    }
    sonde_arena_done(&scratch);
    if (status != SONDE_OK)
        return status;
    sonde_sha256(i->body.data, i->body.len, digest);
    sonde_hex_bytes(digest, sizeof(digest), i->state);
    return SONDE_OK;
}

sonde_status info_open(const info_options *options, info **out_info)
{
    info *i = sonde_calloc(1, sizeof(*i));
    sonde_status status;

    if (!i)
        return SONDE_ERR_NOMEM;
    i->config = config_get(options->config);
    i->version = options->agent_version;
    i->commit = options->git_commit;
    i->origin = options->origin;
    i->clock = options->clock ? options->clock : &sonde_system_clock;
    i->started_unix_ns = i->clock->unix_ns(i->clock->user);
    sonde_buf_init(&i->body, INFO_MAX_BYTES);
    status = make_body(i, options);
    if (status != SONDE_OK) {
        info_close(i);
        return status;
    }
    *out_info = i;
    return SONDE_OK;
}

void info_close(info *i)
{
    if (!i)
        return;
    sonde_buf_done(&i->body);
    config_put(i->config);
    sonde_free(i);
}

sonde_status info_add_source(info *i, info_source source)
{
    size_t len = atomic_load_explicit(&i->sources_len, memory_order_relaxed);

    if (len == INFO_SOURCES_MAX)
        return SONDE_ERR_FULL;
    i->sources[len] = source;
    /* pairs with info_write_status() */
    atomic_store_explicit(&i->sources_len, len + 1, memory_order_release);
    return SONDE_OK;
}

sonde_str info_body(const info *i)
{
    return sonde_buf_str(&i->body);
}

const char *info_state(const info *i)
{
    return i->state;
}

static void put_agent(const info *i, sonde_json_writer *w)
{
    const agent_config *c = i->config;
    int64_t now = i->clock->unix_ns(i->clock->user);

    sonde_json_put_str(w, "version", sonde_str_from(i->version));
    sonde_json_put_str(w, "git_commit", sonde_str_from(i->commit));
    sonde_json_put_i64(w, "pid", getpid());
    sonde_json_put_i64(w, "started_unix_s", i->started_unix_ns / (int64_t)SONDE_NS_PER_S);
    sonde_json_put_i64(w, "uptime_s", (now - i->started_unix_ns) / (int64_t)SONDE_NS_PER_S);
    sonde_json_put_str(w, "hostname", c->hostname);
    sonde_json_put_str(w, "env", c->agent_env);
    sonde_json_put_bool(w, "local_mode", c->local_mode);
    sonde_json_put_str(w, "config_file", c->file);
    sonde_json_key(w, SONDE_STR("config_warnings"));
    sonde_json_begin_array(w);
    for (size_t k = 0; k < c->warnings_len; k++)
        sonde_json_str(w, c->warnings[k]);
    sonde_json_end_array(w);
}

void info_write_status(info *i, sonde_buf *out)
{
    /* pairs with info_add_source() */
    size_t len = atomic_load_explicit(&i->sources_len, memory_order_acquire);
    sonde_json_writer w;

    sonde_json_writer_init(&w, out);
    sonde_json_begin_object(&w);
    sonde_json_key(&w, SONDE_STR("agent"));
    sonde_json_begin_object(&w);
    put_agent(i, &w);
    sonde_json_end_object(&w);
    for (size_t k = 0; k < len; k++) {
        sonde_json_key(&w, sonde_str_from(i->sources[k].name));
        i->sources[k].write_json(i->sources[k].user, &w);
    }
    sonde_json_end_object(&w);
    sonde_buf_append_byte(out, '\n');
}

static http_result serve_info(void *user, http_request *request, http_response *response)
{
    const info *i = user;
    container_id room;
    const char *hash = origin_tags_hash(i->origin, origin_container_id(i->origin, request, room));

    if (hash)
        http_response_header(response, "Datadog-Container-Tags-Hash", hash);
    response->static_body = info_body(i);
    return HTTP_DONE;
}

static http_result serve_status(void *user, http_request *request, http_response *response)
{
    (void)request;
    response->content_type = "application/json";
    info_write_status(user, &response->body);
    return HTTP_DONE;
}

void info_routes(info *i, http_route out[INFO_ROUTES])
{
    out[0] =
        (http_route){ .path = "/info", .handle = serve_info, .max_body_bytes = 4096, .user = i };
    out[1] = (http_route){ .methods = "GET",
                           .path = "/sonde/v1/status",
                           .handle = serve_status,
                           .max_body_bytes = 4096,
                           .user = i };
}
