/* stable_config.c - defaults, then the first rule that selects this process.
 *
 * In a rule all selectors must hold; in a selector one of its `matches` must. */
#include "stable_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"

#include "yaml.h"

#define TEXTS_MAX_BYTES (8u << 20)
#define VALUE_MAX_BYTES 8192

typedef struct reader {
    sonde__stable *out;
    const sonde__process *process;
    const sonde__yaml *tags; /* of the file itself */
} reader;

/* -- what the process is -------------------------------------------------------------------------- */

/* "--mode=fast" is the argument --mode with the value "fast". */
static bool find_argument(sonde_str arguments, sonde_str name, sonde_str *out_value)
{
    while (arguments.len > 0) {
        sonde_str value = sonde_str_cut(&arguments, '\0');

        if (sonde_str_eq(sonde_str_cut(&value, '='), name)) {
            *out_value = value;
            return true;
        }
    }
    return false;
}

static bool find_variable(const sonde__process *process, sonde_str name, sonde_str *out_value)
{
    char text[256];
    const char *value;

    if (name.len == 0 || name.len >= sizeof(text))
        return false;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    value = process->variable(process->user, text);
    *out_value = sonde_str_from(value);
    return value != NULL;
}

static bool find_tag(const sonde__yaml *tags, sonde_str name, sonde_str *out_value)
{
    const sonde__yaml *tag = tags && tags->kind == SONDE__YAML_MAP ? tags->child : NULL;

    while (tag && !sonde_str_eq(tag->key, name))
        tag = tag->next;
    if (!tag || tag->kind != SONDE__YAML_SCALAR)
        return false;
    *out_value = tag->text;
    return true;
}

static bool look_up(const reader *r, sonde_str origin, sonde_str key, sonde_str *out_value)
{
    if (sonde_str_eq(origin, SONDE_STR("process_arguments")))
        return find_argument(r->process->arguments, key, out_value);
    if (sonde_str_eq(origin, SONDE_STR("environment_variables")))
        return find_variable(r->process, key, out_value);
    if (sonde_str_eq(origin, SONDE_STR("tags")))
        return find_tag(r->tags, key, out_value);
    if (!sonde_str_eq(origin, SONDE_STR("language")))
        return false;
    *out_value = r->process->language;
    return true;
}

/* -- rules ---------------------------------------------------------------------------------------- */

static sonde_str text_of(const sonde__yaml *map, const char *key)
{
    const sonde__yaml *node = sonde__yaml_get(map, key);

    return node && node->kind == SONDE__YAML_SCALAR ? node->text : (sonde_str){ NULL, 0 };
}

static bool operator_holds(sonde_str operator, sonde_str value, sonde_str wanted)
{
    if (sonde_str_eq(operator, SONDE_STR("equals")))
        return sonde_str_eq(value, wanted);
    if (sonde_str_eq(operator, SONDE_STR("prefix_matches")))
        return sonde_str_starts(value, wanted);
    if (sonde_str_eq(operator, SONDE_STR("suffix_matches")))
        return sonde_str_ends(value, wanted);
    return false;
}

static bool selector_holds(const reader *r, const sonde__yaml *selector)
{
    sonde_str operator= text_of(selector, "operator");
    const sonde__yaml *matches = sonde__yaml_get(selector, "matches");
    const sonde__yaml *match = matches && matches->kind == SONDE__YAML_LIST ? matches->child : NULL;
    sonde_str value;

    if (!look_up(r, text_of(selector, "origin"), text_of(selector, "key"), &value))
        return false;
    if (sonde_str_eq(operator, SONDE_STR("exists")))
        return true;
    for (; match; match = match->next)
        if (match->kind == SONDE__YAML_SCALAR && operator_holds(operator, value, match->text))
            return true;
    return false;
}

static bool rule_holds(const reader *r, const sonde__yaml *rule)
{
    const sonde__yaml *selectors = sonde__yaml_get(rule, "selectors");
    const sonde__yaml *s = selectors ? selectors->child : NULL;

    while (s && selector_holds(r, s))
        s = s->next;
    return !s;
}

/* -- values --------------------------------------------------------------------------------------- */

/* "environment_variables['ROLE']" or "language", between the braces of a template. */
static sonde_str resolve(const reader *r, sonde_str inside)
{
    sonde_str key = sonde_str_trim(inside);
    sonde_str origin = sonde_str_trim(sonde_str_cut(&key, '['));
    sonde_str value;

    key = sonde_str_trim(key);
    if (key.len > 0 && key.ptr[key.len - 1] == ']')
        key.len--;
    if (key.len >= 2 && (key.ptr[0] == '\'' || key.ptr[0] == '"') &&
        key.ptr[key.len - 1] == key.ptr[0])
        key = sonde_str_sub(key, 1, key.len - 2);
    return look_up(r, origin, key, &value) ? value : SONDE_STR("UNDEFINED");
}

/* The value with its templates filled in; what is no whole template stays. */
static sonde_status expand(const reader *r, sonde_str text, sonde_buf *to)
{
    size_t open, close;

    while (sonde_str_find(text, SONDE_STR("{{"), &open)) {
        sonde_str inside = sonde_str_sub(text, open + 2, text.len);

        if (!sonde_str_find(inside, SONDE_STR("}}"), &close))
            break;
        sonde_buf_append(to, text.ptr, open);
        sonde_buf_append_str(to, resolve(r, sonde_str_sub(inside, 0, close)));
        text = sonde_str_sub(inside, close + 2, inside.len);
    }
    sonde_buf_append_str(to, text);
    return to->status;
}

static sonde_status add_entry(const reader *r, const sonde__yaml *node)
{
    sonde__stable *out = r->out;
    sonde__stable_entry *entry = &out->entries[out->len];
    sonde_buf value;
    sonde_status status;

    if (node->kind == SONDE__YAML_NULL)
        return SONDE_OK;
    if (node->kind != SONDE__YAML_SCALAR)
        return SONDE_ERR_SYNTAX;
    if (out->len == SONDE__STABLE_MAX)
        return SONDE_ERR_TOO_BIG;
    sonde_buf_init(&value, VALUE_MAX_BYTES);
    status = expand(r, node->text, &value);
    if (status == SONDE_OK) {
        entry->name = node->key;
        entry->value = sonde_arena_copy(&out->texts, sonde_buf_str(&value));
        status = entry->value.ptr ? SONDE_OK : SONDE_ERR_NOMEM;
        out->len += status == SONDE_OK;
    }
    sonde_buf_done(&value);
    return status;
}

static sonde_status add_entries(const reader *r, const sonde__yaml *map)
{
    const sonde__yaml *node = map ? map->child : NULL;
    sonde_status status = SONDE_OK;

    if (map && map->kind != SONDE__YAML_MAP && map->kind != SONDE__YAML_NULL)
        return SONDE_ERR_SYNTAX;
    for (; node && status == SONDE_OK; node = node->next)
        status = add_entry(r, node);
    return status;
}

/* -- a file --------------------------------------------------------------------------------------- */

static bool is_list_of_maps(const sonde__yaml *list)
{
    const sonde__yaml *node = list ? list->child : NULL;

    if (list && list->kind != SONDE__YAML_LIST && list->kind != SONDE__YAML_NULL)
        return false;
    while (node && node->kind == SONDE__YAML_MAP)
        node = node->next;
    return !node;
}

static sonde_status add_rules(const reader *r, const sonde__yaml *rules)
{
    const sonde__yaml *rule = rules ? rules->child : NULL;
    const sonde__yaml *each;

    if (!is_list_of_maps(rules))
        return SONDE_ERR_SYNTAX;
    for (each = rule; each; each = each->next)
        if (!is_list_of_maps(sonde__yaml_get(each, "selectors")))
            return SONDE_ERR_SYNTAX;
    while (rule && !rule_holds(r, rule))
        rule = rule->next;
    return rule ? add_entries(r, sonde__yaml_get(rule, "configuration")) : SONDE_OK;
}

static sonde_status read_document(const reader *r, const sonde__yaml *root)
{
    sonde_status status;

    if (root->kind == SONDE__YAML_NULL)
        return SONDE_OK;
    if (root->kind != SONDE__YAML_MAP)
        return SONDE_ERR_SYNTAX;
    r->out->config_id = text_of(root, "config_id");
    status = add_entries(r, sonde__yaml_get(root, "apm_configuration_default"));
    if (status == SONDE_OK)
        status = add_rules(r, sonde__yaml_get(root, "apm_configuration_rules"));
    return status;
}

sonde_status sonde__stable_parse(sonde_str text, const sonde__process *process, sonde__stable *out)
{
    sonde_str own;
    sonde__yaml *root = NULL;
    sonde_status status;

    out->len = 0;
    out->config_id = (sonde_str){ NULL, 0 };
    sonde_arena_init(&out->texts, TEXTS_MAX_BYTES);
    if (!sonde_utf8_valid(text))
        return SONDE_ERR_SYNTAX;
    own = sonde_arena_copy(&out->texts, text);
    status = own.ptr ? sonde__yaml_parse(own, &out->texts, &root) : SONDE_ERR_NOMEM;
    if (status == SONDE_OK)
        status = read_document(
            &(reader){ .out = out, .process = process, .tags = sonde__yaml_get(root, "tags") },
            root);
    if (status != SONDE_OK) {
        out->len = 0;
        out->config_id = (sonde_str){ NULL, 0 };
    }
    return status;
}

/* All of a file, to be freed; NULL with a status when it cannot be had. */
static char *read_file(const char *path, size_t *out_len, sonde_status *out_status)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text = NULL;
    struct stat st;
    ssize_t n = 1;

    *out_len = 0;
    *out_status = fd < 0 ? SONDE_ERR_NOT_FOUND : SONDE_ERR_SYS;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        *out_status = st.st_size > SONDE__STABLE_FILE_MAX_BYTES ? SONDE_ERR_TOO_BIG : SONDE_OK;
        if (*out_status == SONDE_OK)
            text = (char *)sonde_malloc((size_t)st.st_size + 1);
    }
    while (text && n > 0 && *out_len < (size_t)st.st_size) {
        n = read(fd, text + *out_len, (size_t)st.st_size - *out_len);
        *out_len += n > 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    if (*out_status == SONDE_OK && !text)
        *out_status = SONDE_ERR_NOMEM;
    return text;
}

sonde_status sonde__stable_load(const char *path, const sonde__process *process, sonde__stable *out)
{
    sonde_status status;
    size_t len;
    char *text = read_file(path, &len, &status);

    memset(out, 0, sizeof(*out));
    if (text)
        status = sonde__stable_parse((sonde_str){ text, len }, process, out);
    sonde_free(text);
    return status == SONDE_ERR_NOT_FOUND ? SONDE_OK : status;
}

void sonde__stable_done(sonde__stable *s)
{
    sonde_arena_done(&s->texts);
}

sonde_str sonde__stable_get(const sonde__stable *s, const char *name)
{
    uint32_t i;

    for (i = s->len; i > 0; i--)
        if (sonde_str_eq(s->entries[i - 1].name, sonde_str_from(name)))
            return s->entries[i - 1].value;
    return (sonde_str){ NULL, 0 };
}
