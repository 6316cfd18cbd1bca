/* file.c - datadog.yaml style files, read with libfyaml: the door to that library.
 *
 * A scalar is the value of the key its path names; a sequence or map in the place of a value is handed
 * on as JSON.  Unknown keys are warned about once, at their top.
 *
 * Bounds   CONFIG_FILE_MAX_BYTES (checked by the caller), FILE_DEPTH_MAX levels; aliases are not
 *          followed.
 */
#include <stdio.h>
#include <string.h>

#include <libfyaml.h>

#include "base/error.h"
#include "codec/json_write.h"
#include "internal.h"

#define FILE_DEPTH_MAX 16
#define PATH_MAX_BYTES 256

typedef struct walk {
    builder *b;
    const char *name; /* of the file */
    bool is_override;
} walk;

static sonde_str scalar_of(struct fy_node *node)
{
    sonde_str text = { NULL, 0 };

    text.ptr = fy_node_get_scalar(node, &text.len);
    return text.ptr ? text : (sonde_str){ NULL, 0 };
}

/* "file:line:column" of a key. */
static sonde_str place_of(walk *w, struct fy_node *key)
{
    const struct fy_mark *mark = fy_token_start_mark(fy_node_get_scalar_token(key));

    if (!mark)
        return sonde_str_from(w->name);
    return keep_printf(w->b, "%s:%d:%d", w->name, mark->line + 1, mark->column + 1);
}

/* Everything in it as texts; false when it is too deep. */
static bool write_json(sonde_json_writer *out, struct fy_node *node, int depth)
{
    void *cursor = NULL;
    struct fy_node_pair *pair;
    struct fy_node *item;

    if (depth == FILE_DEPTH_MAX)
        return false;
    if (!node || fy_node_get_type(node) == FYNT_SCALAR) {
        sonde_json_str(out, node ? scalar_of(node) : (sonde_str){ NULL, 0 });
        return true;
    }
    if (fy_node_get_type(node) == FYNT_SEQUENCE) {
        sonde_json_begin_array(out);
        while ((item = fy_node_sequence_iterate(node, &cursor))) {
            if (!write_json(out, item, depth + 1))
                return false;
        }
        sonde_json_end_array(out);
        return true;
    }
    sonde_json_begin_object(out);
    while ((pair = fy_node_mapping_iterate(node, &cursor))) {
        struct fy_node *key = fy_node_pair_key(pair);

        sonde_json_key(out, key ? scalar_of(key) : (sonde_str){ NULL, 0 });
        if (!write_json(out, fy_node_pair_value(pair), depth + 1))
            return false;
    }
    sonde_json_end_object(out);
    return true;
}

static void set_from_node(walk *w, const config_key *key, struct fy_node *value, sonde_str place)
{
    sonde_json_writer json;
    sonde_buf text;

    if (!value || fy_node_is_null(value))
        return; /* "key:" alone is not set */
    if (fy_node_is_alias(value)) {
        warn(w->b, "%.*s: %s: aliases are not followed", SONDE_STR_ARG(place), key->name);
        return;
    }
    if (fy_node_get_type(value) == FYNT_SCALAR) {
        key_set(w->b, key, scalar_of(value), place);
        return;
    }
    sonde_buf_init(&text, CONFIG_VALUE_MAX_BYTES);
    sonde_json_writer_init(&json, &text);
    if (write_json(&json, value, 0) && text.status == SONDE_OK)
        key_set(w->b, key, sonde_buf_str(&text), place);
    else
        warn(w->b, "%.*s: %s: too long or nested too deeply", SONDE_STR_ARG(place), key->name);
    sonde_buf_done(&text);
}

static bool is_section(sonde_str path)
{
    for (size_t i = 0; i < config_keys_len; i++) {
        sonde_str name = sonde_str_from(config_keys[i].name);

        if (sonde_str_starts(name, path) && name.len > path.len && name.ptr[path.len] == '.')
            return true;
    }
    for (size_t i = 0; i < known_keys_len; i++) {
        sonde_str name = sonde_str_from(known_keys[i].name);

        if (sonde_str_starts(name, path) && name.len > path.len && name.ptr[path.len] == '.' &&
            !sonde_str_ends(name, SONDE_STR(".*")))
            return true;
    }
    return false;
}

static void warn_unknown(walk *w, sonde_str path, sonde_str place)
{
    const config_key *nearest = key_nearest(path);
    const known_key *known = known_find(path);

    if (known)
        note(w->b, "%.*s: " KNOWN_FORMAT, SONDE_STR_ARG(place), KNOWN_ARG(path, known));
    else if (nearest)
        warn(w->b, "%.*s: %s: unknown key, passed over; did you mean %s?", SONDE_STR_ARG(place),
             SONDE_LOG_QUOTE(path), nearest->name);
    else
        warn(w->b, "%.*s: %s: unknown key, passed over", SONDE_STR_ARG(place),
             SONDE_LOG_QUOTE(path));
}

static void walk_mapping(walk *w, struct fy_node *mapping, sonde_str prefix, int depth);

static void walk_pair(walk *w, struct fy_node_pair *pair, sonde_str prefix, int depth)
{
    struct fy_node *key_node = fy_node_pair_key(pair), *value = fy_node_pair_value(pair);
    char buffer[PATH_MAX_BYTES];
    const config_key *key;
    sonde_str name, path, place;
    int len;

    if (!key_node || fy_node_get_type(key_node) != FYNT_SCALAR)
        return;
    name = scalar_of(key_node);
    place = place_of(w, key_node);
    len =
        snprintf(buffer, sizeof(buffer), "%.*s%s%.*s", SONDE_STR_ARG(prefix), prefix.len ? "." : "",
                 name.len > PATH_MAX_BYTES ? PATH_MAX_BYTES : (int)name.len, name.ptr);
    path = (sonde_str){ buffer, len < 0 ? 0 : (size_t)len };
    if (path.len >= sizeof(buffer)) {
        warn_unknown(w, name, place);
        return;
    }
    key = key_find(path);
    if (key)
        set_from_node(w, key, value, place);
    else if (!is_section(path) || depth == FILE_DEPTH_MAX)
        warn_unknown(w, path, place);
    else if (value && fy_node_get_type(value) == FYNT_MAPPING)
        walk_mapping(w, value, path, depth + 1);
    else if (value && !fy_node_is_null(value))
        warn(w->b, "%.*s: %s: expected a section with keys of its own", SONDE_STR_ARG(place),
             buffer);
}

static void walk_mapping(walk *w, struct fy_node *mapping, sonde_str prefix, int depth)
{
    void *cursor = NULL;
    struct fy_node_pair *pair;

    while ((pair = fy_node_mapping_iterate(mapping, &cursor)))
        walk_pair(w, pair, prefix, depth);
}

/* Why there is no document. */
static sonde_status report(struct fy_diag *diag, const char *name, sonde_error *out_error)
{
    void *cursor = NULL;
    const struct fy_diag_error *error = fy_diag_errors_iterate(diag, &cursor);

    if (!error)
        return SONDE_OK; /* no document and no error: nothing but comments */
    return sonde_fail(out_error, SONDE_ERR_SYNTAX, "%s:%d:%d: %s", name, error->line, error->column,
                      error->msg);
}

/* conf.d is also where Datadog's agent keeps the settings of its checks. */
static bool is_integration(struct fy_node *root)
{
    return fy_node_mapping_lookup_by_string(root, "instances", FY_NT) ||
           fy_node_mapping_lookup_by_string(root, "init_config", FY_NT);
}

static sonde_status walk_document(walk *w, struct fy_document *document, sonde_error *out_error)
{
    struct fy_node *root = fy_document_root(document);

    if (!root || fy_node_is_null(root))
        return SONDE_OK; /* nothing but comments */
    if (fy_node_get_type(root) != FYNT_MAPPING)
        return sonde_fail(out_error, SONDE_ERR_SYNTAX, "%s: expected keys with values", w->name);
    if (w->is_override && is_integration(root)) {
        note(w->b, "%s: an integration of Datadog's agent, passed over", w->name);
        return SONDE_OK;
    }
    walk_mapping(w, root, (sonde_str){ NULL, 0 }, 0);
    return SONDE_OK;
}

/* The library takes no bytes that are not text, and version 0.7.12 loops for ever over some. */
static sonde_status check_text(sonde_str yaml, const char *name, sonde_error *out_error)
{
    size_t line = 1;

    if (sonde_utf8_valid(yaml) && !(yaml.len && memchr(yaml.ptr, '\0', yaml.len)))
        return SONDE_OK;
    for (size_t i = 0; i < yaml.len && yaml.ptr[i];) {
        unsigned rune;
        size_t width = sonde_utf8_decode(sonde_str_sub(yaml, i, 4), &rune);

        if (width == 0)
            break;
        line += rune == '\n';
        i += width;
    }
    return sonde_fail(out_error, SONDE_ERR_SYNTAX, "%s:%zu: not UTF-8 text", name, line);
}

sonde_status read_yaml(builder *b, sonde_str yaml, const char *name, bool is_override,
                       sonde_error *out_error)
{
    sonde_status status = check_text(yaml, name, out_error);
    struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_JSON_NONE };
    struct fy_diag_cfg diag;
    walk w = { .b = b, .name = name, .is_override = is_override };
    struct fy_document *document;

    if (status != SONDE_OK)
        return status;
    fy_diag_cfg_default(&diag);
    diag.level = FYET_MAX; /* what it does not collect it prints */
    cfg.diag = fy_diag_create(&diag);
    if (!cfg.diag)
        return SONDE_ERR_NOMEM;
    fy_diag_set_collect_errors(cfg.diag, true);
    document = fy_document_build_from_string(&cfg, yaml.len ? yaml.ptr : "", yaml.len);
    if (!document) {
        status = report(cfg.diag, name, out_error);
    } else {
        status = walk_document(&w, document, out_error);
        fy_document_destroy(document);
    }
    fy_diag_destroy(cfg.diag);
    return status;
}
