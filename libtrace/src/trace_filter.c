/* trace_filter.c - three lists, each entry against the tags of one span. */
#include "trace_filter.h"

#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/format.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/regex.h"
#include "vocab/tags.h"

#define VALUE_MAX_RUNES 200
#define PEER_MAX_BYTES  100

/* "key", "key:value", or a key and a pattern for its value; in the first list only the pattern. */
typedef struct entry {
    sonde_str key;
    sonde_str value;
    bool has_value;
    sonde_regex *pattern; /* owned; NULL: `value` as it is */
} entry;

typedef struct entries {
    entry *item; /* owned */
    uint32_t len;
} entries;

struct sonde__trace_filter {
    entries ignore;
    entries reject;
    entries require;
    size_t bytes; /* of patterns */
};

/* -- making --------------------------------------------------------------------------------------- */

static sonde_status compile(sonde__trace_filter *f, sonde_str pattern, entry *e)
{
    sonde_error error;
    sonde_status status = sonde_regex_compile(pattern, &e->pattern, &error);

    if (status != SONDE_OK) {
        SONDE_LOG(SONDE_LOG_WARN, "agent's filter not understood: %s", error.message);
        return status;
    }
    f->bytes += sonde_regex_bytes(e->pattern);
    return f->bytes > SONDE__FILTER_MAX_BYTES ? SONDE_ERR_TOO_BIG : SONDE_OK;
}

/* Appends the entry `e`, whose `value` is a pattern if that is said. */
static sonde_status add(sonde__trace_filter *f, entries *list, entry e, bool is_pattern)
{
    sonde_status status = SONDE_OK;

    if (is_pattern && e.has_value)
        status = compile(f, e.value, &e);
    if (status == SONDE_ERR_SYNTAX)
        return SONDE_OK;         /* the agent leaves it out too */
    list->item[list->len++] = e; /* owns the pattern, also of one too many */
    return status;
}

static sonde_status add_tag(sonde__trace_filter *f, entries *list, sonde_str text, bool is_pattern)
{
    bool has_value = text.len > 0 && memchr(text.ptr, ':', text.len) != NULL;
    entry e = { .has_value = has_value };

    e.key = sonde_str_trim(sonde_str_cut(&text, ':'));
    e.value = sonde_str_trim(text);
    return e.key.len > 0 ? add(f, list, e, is_pattern) : SONDE_OK;
}

static sonde_status add_tags(sonde__trace_filter *f, entries *list, const sonde__texts *plain,
                             const sonde__texts *patterns)
{
    size_t count = (size_t)plain->len + patterns->len;
    sonde_status status = SONDE_OK;
    uint32_t i;

    list->item = (entry *)sonde_calloc(count ? count : 1, sizeof(entry));
    if (!list->item)
        return SONDE_ERR_NOMEM;
    for (i = 0; i < plain->len && status == SONDE_OK; i++)
        status = add_tag(f, list, plain->item[i], false);
    for (i = 0; i < patterns->len && status == SONDE_OK; i++)
        status = add_tag(f, list, patterns->item[i], true);
    return status;
}

static sonde_status add_ignored(sonde__trace_filter *f, const sonde__texts *patterns)
{
    sonde_status status = SONDE_OK;
    uint32_t i;

    f->ignore.item = (entry *)sonde_calloc(patterns->len ? patterns->len : 1, sizeof(entry));
    if (!f->ignore.item)
        return SONDE_ERR_NOMEM;
    for (i = 0; i < patterns->len && status == SONDE_OK; i++)
        status = add(f, &f->ignore, (entry){ .value = patterns->item[i], .has_value = true }, true);
    return status;
}

sonde_status sonde__trace_filter_new(const sonde__agent_info *info, sonde__trace_filter **out)
{
    sonde__trace_filter *f;
    sonde_status status;

    *out = NULL;
    if (info->cut)
        return SONDE_ERR_TOO_BIG;
    if (info->require.len + info->reject.len + info->require_regex.len + info->reject_regex.len +
            info->ignore_resources.len ==
        0)
        return SONDE_OK;
    f = (sonde__trace_filter *)sonde_calloc(1, sizeof(*f));
    if (!f)
        return SONDE_ERR_NOMEM;
    status = add_ignored(f, &info->ignore_resources);
    if (status == SONDE_OK)
        status = add_tags(f, &f->reject, &info->reject, &info->reject_regex);
    if (status == SONDE_OK)
        status = add_tags(f, &f->require, &info->require, &info->require_regex);
    if (status == SONDE_OK)
        *out = f;
    else
        sonde__trace_filter_free(f);
    return status;
}

static void free_entries(entries *list)
{
    uint32_t i;

    for (i = 0; i < list->len; i++)
        sonde_regex_free(list->item[i].pattern);
    sonde_free(list->item);
}

void sonde__trace_filter_free(sonde__trace_filter *f)
{
    if (!f)
        return;
    free_entries(&f->ignore);
    free_entries(&f->reject);
    free_entries(&f->require);
    sonde_free(f);
}

/* -- the root as the agent sees it ---------------------------------------------------------------- */

typedef struct seen_value {
    sonde_str text;
    char own[4 * VALUE_MAX_RUNES];
} seen_value;

/* The agent's normalisation of a tag's value; letters beyond ASCII stay as they are. */
static void normalize(seen_value *v)
{
    size_t len = 0;
    size_t runes = 0;
    size_t i;

    for (i = 0; i < v->text.len && runes < VALUE_MAX_RUNES && len < sizeof(v->own); i++) {
        char c = v->text.ptr[i];
        bool stays;

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        stays = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ':' || c == '.' ||
                c == '/' || c == '-' || (c & 0x80);
        if (!stays && len > 0 && v->own[len - 1] == '_')
            continue;
        v->own[len++] = stays ? c : '_';
        runes += (c & 0xc0) != 0x80;
    }
    while (len > 0 && v->own[len - 1] == '_')
        len--;
    v->text = (sonde_str){ v->own, len };
}

static bool is_status(sonde_str text)
{
    uint64_t status;

    return sonde_parse_u64(text, &status) == SONDE_OK && status >= 100 && status <= 599;
}

/* False: the agent would take the tag away. */
static bool adjust(sonde_str key, seen_value *v)
{
    if (sonde_str_eq(key, SONDE_STR(SONDE_TAG_HTTP_STATUS_CODE)))
        return is_status(v->text);
    if (sonde_str_eq(key, SONDE_STR(SONDE_TAG_PEER_SERVICE)) ||
        sonde_str_eq(key, SONDE_STR(SONDE_TAG_BASE_SERVICE)))
        v->text.len = sonde_utf8_cut(v->text, PEER_MAX_BYTES);
    else if (!sonde_str_eq(key, SONDE_STR(SONDE_TAG_ENV)))
        return true;
    normalize(v);
    return true;
}

static bool find_meta(sonde__wire_map map, sonde_str key, sonde_str *out)
{
    sonde_str at;

    for (; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &at);
        (void)sonde_mp_read_str(&map.at, out);
        if (sonde_str_eq(at, key))
            return true;
    }
    return false;
}

static bool find_metric(sonde__wire_map map, sonde_str key, double *out)
{
    sonde_str at;

    for (; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &at);
        (void)sonde_mp_read_double(&map.at, out);
        if (sonde_str_eq(at, key))
            return true;
    }
    return false;
}

static bool find_value(const sonde__wire_span *root, sonde_str key, seen_value *v)
{
    double number;

    if (!find_meta(root->meta, key, &v->text)) {
        if (!find_metric(root->metrics, key, &number))
            return false;
        v->text = (sonde_str){ v->own, sonde_format_double(number, v->own) };
    }
    return adjust(key, v);
}

_Static_assert(sizeof(((seen_value *)0)->own) >= SONDE_DOUBLE_MAX_LEN, "room for a number");

static bool has_tag(const entry *e, const sonde__wire_span *root)
{
    seen_value v;

    if (!find_value(root, e->key, &v))
        return false;
    if (!e->has_value)
        return true;
    return e->pattern ? sonde_regex_matches(e->pattern, v.text) : sonde_str_eq(e->value, v.text);
}

bool sonde__trace_filter_drops(sonde__trace_filter *f, const sonde__wire_span *root)
{
    sonde_str resource = root->resource.len > 0 ? root->resource : root->name;
    uint32_t i;

    for (i = 0; i < f->ignore.len; i++)
        if (sonde_regex_matches(f->ignore.item[i].pattern, resource))
            return true;
    for (i = 0; i < f->reject.len; i++)
        if (has_tag(&f->reject.item[i], root))
            return true;
    for (i = 0; i < f->require.len; i++)
        if (!has_tag(&f->require.item[i], root))
            return true;
    return false;
}
