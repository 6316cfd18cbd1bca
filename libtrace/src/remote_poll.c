/* remote_poll.c - who asks, for what, and what it holds. */
#include "remote_poll.h"

#include "base/hex.h"
#include "codec/json_write.h"

/* What we do when told; the numbers are those of the wire. */
enum capability {
    CAN_SAMPLE_RATE = 12,
    CAN_LOG_INJECTION = 13,
    CAN_HEADER_TAGS = 14,
    CAN_TAGS = 15,
    CAN_SWITCH_TRACING = 19,
    CAN_SAMPLING_RULES = 29,
    CAN_SEVERAL_CONFIGS = 45,
};

/* What works in every library that is built on this one.  The rest is up to it: whether it injects ids into
 * logs, say. */
static const uint64_t core_capabilities = UINT64_C(1) << CAN_SAMPLE_RATE | UINT64_C(1) << CAN_TAGS |
                                          UINT64_C(1) << CAN_SWITCH_TRACING |
                                          UINT64_C(1) << CAN_SAMPLING_RULES;

static const uint64_t own_capabilities = UINT64_C(1) << CAN_LOG_INJECTION |
                                         UINT64_C(1) << CAN_HEADER_TAGS |
                                         UINT64_C(1) << CAN_SEVERAL_CONFIGS;

/* A big-endian bit field in base64, without leading zero bytes. */
static void put_capabilities(sonde_json_writer *w, sonde_str language)
{
    bool is_ours = sonde_str_eq(language, SONDE_STR(SONDE__LANGUAGE));
    uint64_t capabilities = core_capabilities | (is_ours ? own_capabilities : 0);
    uint8_t bytes[8];
    char text[12];
    size_t first = 0;
    size_t i;

    for (i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(capabilities >> (56 - 8 * i));
    while (first < 7 && bytes[first] == 0)
        first++;
    i = sonde_base64_encode(bytes + first, 8 - first, text);
    sonde_json_put_str(w, "capabilities", (sonde_str){ text, i });
}

static void put_products(sonde_json_writer *w)
{
    int i;

    sonde_json_key(w, SONDE_STR("products"));
    sonde_json_begin_array(w);
    for (i = 0; i < SONDE__PRODUCTS; i++)
        sonde_json_str(w, sonde_str_from(sonde__product_name((sonde__product)i)));
    sonde_json_end_array(w);
}

static void put_process_tags(sonde_json_writer *w, sonde_str tags)
{
    if (tags.len == 0)
        return;
    sonde_json_key(w, SONDE_STR("process_tags"));
    sonde_json_begin_array(w);
    while (tags.len > 0)
        sonde_json_str(w, sonde_str_cut(&tags, ','));
    sonde_json_end_array(w);
}

static void put_tracer(sonde_json_writer *w, const sonde__config *c, const char *runtime_id)
{
    sonde_json_key(w, SONDE_STR("client_tracer"));
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "runtime_id", sonde_str_from(runtime_id));
    sonde_json_put_str(w, "language", c->language);
    sonde_json_put_str(w, "tracer_version", c->tracer_version);
    sonde_json_put_str(w, "service", c->service);
    sonde_json_put_str(w, "env", c->env);
    sonde_json_put_str(w, "app_version", c->version);
    sonde_json_key(w, SONDE_STR("tags"));
    sonde_json_begin_array(w);
    sonde_json_end_array(w);
    put_process_tags(w, c->process_tags);
    sonde_json_end_object(w);
}

static void put_config_state(sonde_json_writer *w, const sonde__remote_file *f)
{
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "id", f->parts.id);
    sonde_json_put_u64(w, "version", f->version);
    sonde_json_put_str(w, "product", sonde_str_from(sonde__product_name(f->parts.product)));
    sonde_json_put_u64(w, "apply_state", f->state);
    sonde_json_put_str(w, "apply_error", sonde_str_from(f->error));
    sonde_json_end_object(w);
}

static void put_state(sonde_json_writer *w, const sonde__remote_state *s)
{
    uint32_t i;

    sonde_json_key(w, SONDE_STR("state"));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "root_version", 1);
    sonde_json_put_u64(w, "targets_version", s->targets_version);
    sonde_json_put_bool(w, "has_error", s->error[0] != '\0');
    sonde_json_put_str(w, "error", sonde_str_from(s->error));
    sonde_json_put_str(w, "backend_client_state", s->backend_state);
    sonde_json_key(w, SONDE_STR("config_states"));
    sonde_json_begin_array(w);
    for (i = 0; i < s->len; i++)
        put_config_state(w, s->file[i]);
    sonde_json_end_array(w);
    sonde_json_end_object(w);
}

static void put_cached(sonde_json_writer *w, const sonde__remote_file *f)
{
    char hash[64];

    sonde_hex_bytes(f->sha256, sizeof(f->sha256), hash);
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "path", f->path);
    sonde_json_put_u64(w, "length", f->content.len);
    sonde_json_key(w, SONDE_STR("hashes"));
    sonde_json_begin_array(w);
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "algorithm", SONDE_STR("sha256"));
    sonde_json_put_str(w, "hash", (sonde_str){ hash, sizeof(hash) });
    sonde_json_end_object(w);
    sonde_json_end_array(w);
    sonde_json_end_object(w);
}

void sonde__remote_poll_write(const sonde__config *c, const char *client_id, const char *runtime_id,
                              const sonde__remote_state *s, sonde_buf *out)
{
    sonde_json_writer w;
    uint32_t i;

    sonde_json_writer_init(&w, out);
    sonde_json_begin_object(&w);
    sonde_json_key(&w, SONDE_STR("client"));
    sonde_json_begin_object(&w);
    sonde_json_put_str(&w, "id", sonde_str_from(client_id));
    put_products(&w);
    sonde_json_put_bool(&w, "is_tracer", true);
    put_capabilities(&w, c->language);
    put_tracer(&w, c, runtime_id);
    put_state(&w, s);
    sonde_json_end_object(&w);
    sonde_json_key(&w, SONDE_STR("cached_target_files"));
    sonde_json_begin_array(&w);
    for (i = 0; i < s->len; i++)
        put_cached(&w, s->file[i]);
    sonde_json_end_array(&w);
    sonde_json_end_object(&w);
}
