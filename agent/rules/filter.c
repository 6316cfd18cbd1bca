/* filter.c - which traces are dropped for what their root is: resources first, then tags. */
#include "agent/rules/lane.h"

/* A pattern that cannot be used leaves *out NULL; the configuration warned of it. */
static sonde_status compile(sonde_str pattern, sonde_regex **out)
{
    sonde_status status = sonde_regex_compile(pattern, out, NULL);

    return status == SONDE_ERR_NOMEM ? status : SONDE_OK;
}

static sonde_status open_ignored(rules_lane *lane, const config_list *patterns)
{
    size_t i;

    lane->ignored = sonde_arena_zalloc(&lane->arena, patterns->len + 1, sizeof(sonde_regex *));
    if (!lane->ignored)
        return SONDE_ERR_NOMEM;
    for (i = 0; i < patterns->len; i++) {
        sonde_regex *re = NULL;

        if (compile(patterns->items[i], &re) != SONDE_OK)
            return SONDE_ERR_NOMEM;
        if (re)
            lane->ignored[lane->ignored_len++] = re;
    }
    return SONDE_OK;
}

/* "key:value", "key" */
static tag_filter split(sonde_str item)
{
    sonde_str key = sonde_str_cut(&item, ':');

    return (tag_filter){ .key = sonde_str_trim(key), .value = sonde_str_trim(item) };
}

static sonde_status open_exact(rules_lane *lane, tag_filters *f, const config_list *items)
{
    f->items = sonde_arena_zalloc(&lane->arena, items->len + 1, sizeof(*f->items));
    if (!f->items)
        return SONDE_ERR_NOMEM;
    for (; f->len < items->len; f->len++)
        f->items[f->len] = split(items->items[f->len]);
    return SONDE_OK;
}

static bool has_key(const tag_filters *f, sonde_str key)
{
    size_t i;

    for (i = 0; i < f->len; i++)
        if (sonde_str_eq(f->items[i].key, key))
            return true;
    return false;
}

/* A key that has an exact filter needs no pattern. */
static sonde_status open_patterns(rules_lane *lane, tag_filters *f, const tag_filters *exact,
                                  const config_list *items)
{
    size_t i;

    f->items = sonde_arena_zalloc(&lane->arena, items->len + 1, sizeof(*f->items));
    if (!f->items)
        return SONDE_ERR_NOMEM;
    for (i = 0; i < items->len; i++) {
        tag_filter item = split(items->items[i]);

        if (has_key(exact, item.key))
            continue;
        if (item.value.len && compile(item.value, &item.pattern) != SONDE_OK)
            return SONDE_ERR_NOMEM;
        if (item.pattern || !item.value.len)
            f->items[f->len++] = item;
    }
    return SONDE_OK;
}

sonde_status filters_open(rules_lane *lane, const agent_config *c)
{
    sonde_status status = open_ignored(lane, &c->ignore_resources);

    if (status == SONDE_OK)
        status = open_exact(lane, &lane->reject, &c->filter_reject);
    if (status == SONDE_OK)
        status = open_exact(lane, &lane->require, &c->filter_require);
    if (status == SONDE_OK)
        status = open_patterns(lane, &lane->reject_regex, &lane->reject, &c->filter_regex_reject);
    if (status == SONDE_OK)
        status =
            open_patterns(lane, &lane->require_regex, &lane->require, &c->filter_regex_require);
    return status;
}

static void close_patterns(tag_filters *f)
{
    size_t i;

    for (i = 0; i < f->len; i++)
        sonde_regex_free(f->items[i].pattern);
}

void filters_close(rules_lane *lane)
{
    size_t i;

    for (i = 0; i < lane->ignored_len; i++)
        sonde_regex_free(lane->ignored[i]);
    close_patterns(&lane->reject_regex);
    close_patterns(&lane->require_regex);
}

static bool has_tag(const tag_filter *f, const payload_span *root)
{
    const sonde_str *value = span_meta_get(root, f->key);

    if (!value)
        return false;
    if (f->pattern)
        return sonde_regex_matches(f->pattern, *value);
    return f->value.len == 0 || sonde_str_eq(*value, f->value);
}

/* Whether one of them is there, or is not. */
static bool any(const tag_filters *f, const payload_span *root, bool there)
{
    size_t i;

    for (i = 0; i < f->len; i++)
        if (has_tag(&f->items[i], root) == there)
            return true;
    return false;
}

bool is_ignored(const rules_lane *lane, sonde_str resource)
{
    size_t i;

    for (i = 0; i < lane->ignored_len; i++)
        if (sonde_regex_matches(lane->ignored[i], resource))
            return true;
    return false;
}

bool rules_filter(rules_lane *lane, const payload_span *root)
{
    return is_ignored(lane, root->resource) || any(&lane->reject, root, true) ||
           any(&lane->reject_regex, root, true) || any(&lane->require, root, false) ||
           any(&lane->require_regex, root, false);
}
