/* search_match.c - a parsed search against spans, summaries and filters. */
#include <math.h>

#include "base/format.h"
#include "base/parse.h"
#include "dashboards/query/search.h"

#define ERROR_TEXT SONDE_STR("error")
#define OK_TEXT    SONDE_STR("ok")

/* ---- text ---- */

/* * is any run, ? one byte, SEARCH_LITERAL marks one that is neither.  Goes back to the last * only,
 * so the time is at most the product of both lengths. */
static bool glob(sonde_str pattern, sonde_str s)
{
    size_t p = 0, i = 0, star = SIZE_MAX, star_i = 0;

    while (i < s.len) {
        size_t literal = p < pattern.len && pattern.ptr[p] == SEARCH_LITERAL;

        if (!literal && p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            star_i = i;
        } else if (p + literal < pattern.len &&
                   ((!literal && pattern.ptr[p] == '?') || pattern.ptr[p + literal] == s.ptr[i])) {
            p += 1 + literal;
            i++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++star_i;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Is `what` somewhere in `s`, in any case (ASCII)? */
static bool contains(sonde_str s, sonde_str what)
{
    size_t i, k;

    for (i = 0; i + what.len <= s.len; i++) {
        for (k = 0; k < what.len && lower(s.ptr[i + k]) == lower(what.ptr[k]); k++)
            ;
        if (k == what.len)
            return true;
    }
    return false;
}

static bool text_matches(const search_node *n, sonde_str s)
{
    switch (n->op) {
    case SEARCH_EXISTS:
        return s.len > 0;
    case SEARCH_PATTERN:
        return glob(n->text, s);
    default:
        return sonde_str_eq(n->text, s);
    }
}

/* Free text: somewhere in the field; a pattern is for the whole of it. */
static bool free_text_matches(const search_node *n, sonde_str s)
{
    return n->op == SEARCH_EQUAL ? contains(s, n->text) : text_matches(n, s);
}

static bool number_matches(const search_node *n, double v)
{
    switch (n->op) {
    case SEARCH_EXISTS:
        return true;
    case SEARCH_EQUAL:
        return n->is_number && v == n->number;
    case SEARCH_RANGE:
        return (v > n->low || (v == n->low && n->low_included) || n->low == -INFINITY) &&
               (v < n->high || (v == n->high && n->high_included) || n->high == INFINITY);
    default:
        return false;
    }
}

/* ---- tags ---- */

static bool attr_value_matches(const search_node *n, const model_attr *a)
{
    double v;

    if (a->kind == MODEL_ATTR_METRIC) {
        char text[SONDE_DOUBLE_MAX_LEN];

        if (n->op != SEARCH_PATTERN)
            return number_matches(n, a->number);
        return glob(n->text, (sonde_str){ text, sonde_format_double(a->number, text) });
    }
    if (n->op == SEARCH_RANGE)
        return sonde_parse_double(a->text, &v) == SONDE_OK && number_matches(n, v);
    return n->op == SEARCH_EXISTS || text_matches(n, a->text);
}

static bool any_attr_matches(const search_node *n, sonde_str key, const frame_view *v,
                             const uint32_t *attrs, uint32_t len)
{
    uint32_t i;

    for (i = 0; i < len; i++)
        if (sonde_str_eq(v->attrs[attrs[i]].key, key) && attr_value_matches(n, &v->attrs[attrs[i]]))
            return true;
    return false;
}

static bool tag_matches(const search_node *n, sonde_str key, const frame_view *v,
                        const model_span *s)
{
    return any_attr_matches(n, key, v, s->attrs, s->attrs_len) ||
           any_attr_matches(n, key, v, s->chunk->attrs, s->chunk->attrs_len);
}

/* tags:"key:value", or tags:key for the tag being there. */
static bool tags_match(const search_node *n, const frame_view *v, const model_span *s)
{
    search_node value = *n;
    sonde_str key = sonde_str_cut(&value.text, ':');

    if (key.len == n->text.len)
        value.op = SEARCH_EXISTS;
    value.is_number = sonde_parse_double(value.text, &value.number) == SONDE_OK;
    return tag_matches(&value, key, v, s);
}

static bool anything_matches(const search_node *n, const frame_view *v, const model_span *s)
{
    uint32_t i;

    if (free_text_matches(n, s->service) || free_text_matches(n, s->name) ||
        free_text_matches(n, s->resource) || free_text_matches(n, s->type))
        return true;
    for (i = 0; i < s->attrs_len; i++)
        if (v->attrs[s->attrs[i]].kind == MODEL_ATTR_META &&
            free_text_matches(n, v->attrs[s->attrs[i]].text))
            return true;
    return false;
}

/* ---- spans ---- */

static bool trace_id_matches(const search_node *n, uint64_t hi, uint64_t lo)
{
    return n->op == SEARCH_EXISTS || (n->id_lo == lo && (n->id_hi == 0 || n->id_hi == hi));
}

static bool term_matches(const search_node *n, const frame_view *v, const model_span *s)
{
    const model_source *source = s->chunk->source;

    switch (n->field) {
    case SEARCH_ATTR:
        return tag_matches(n, n->key, v, s);
    case SEARCH_SERVICE:
        return text_matches(n, s->service);
    case SEARCH_NAME:
        return text_matches(n, s->name);
    case SEARCH_RESOURCE:
        return text_matches(n, s->resource);
    case SEARCH_TYPE:
        return text_matches(n, s->type);
    case SEARCH_ENV:
        return text_matches(n, source->env);
    case SEARCH_HOST:
        return text_matches(n, source->host);
    case SEARCH_VERSION:
        return text_matches(n, source->version);
    case SEARCH_STATUS:
        return text_matches(n, s->error ? ERROR_TEXT : OK_TEXT);
    case SEARCH_SPAN_ID:
        return n->op == SEARCH_EXISTS || s->span_id == n->id_lo;
    case SEARCH_PARENT_ID:
        return n->op == SEARCH_EXISTS ? s->parent_id != 0 : s->parent_id == n->id_lo;
    case SEARCH_TRACE_ID:
        return trace_id_matches(n, s->chunk->trace_hi, s->chunk->trace_lo);
    case SEARCH_DURATION:
        return number_matches(n, (double)s->duration_ns);
    case SEARCH_TIMESTAMP:
        return number_matches(n, (double)s->start_unix_ns);
    case SEARCH_TAGS:
        return tags_match(n, v, s);
    case SEARCH_TEXT:
        return n->op == SEARCH_EXISTS || free_text_matches(n, s->resource);
    case SEARCH_ANY:
        return n->op == SEARCH_EXISTS || anything_matches(n, v, s);
    }
    return false;
}

static bool node_matches(const search_node *n, const frame_view *v, const model_span *s)
{
    switch (n->kind) {
    case SEARCH_ALL:
        return true;
    case SEARCH_AND:
        return node_matches(n->left, v, s) && node_matches(n->right, v, s);
    case SEARCH_OR:
        return node_matches(n->left, v, s) || node_matches(n->right, v, s);
    case SEARCH_NOT:
        return !node_matches(n->left, v, s);
    case SEARCH_TERM:
        break;
    }
    return term_matches(n, v, s);
}

bool search_matches(const search *s, const frame_view *v, const model_span *span)
{
    return node_matches(s->root, v, span);
}

/* ---- summaries ---- */

static search_share every_or_none(bool matches)
{
    return matches ? SEARCH_EVERY : SEARCH_NONE;
}

/* What the root span alone says: of the other spans nothing is known. */
static search_share root_share(bool matches, uint32_t spans)
{
    if (spans == 1)
        return every_or_none(matches);
    return matches ? SEARCH_SOME : SEARCH_MAYBE;
}

static search_share service_share(const search_node *n, const frame_part *p)
{
    sonde_str left = p->services;
    size_t all = 0, matching = 0;

    while (left.len) {
        all++;
        matching += text_matches(n, sonde_str_cut(&left, '\n'));
    }
    if (matching == 0) /* a full list may leave some out */
        return all < SUMMARY_SERVICES_MAX ? SEARCH_NONE : SEARCH_MAYBE;
    return matching == all && all < SUMMARY_SERVICES_MAX ? SEARCH_EVERY : SEARCH_SOME;
}

static search_share status_share(const search_node *n, const frame_part *p)
{
    uint32_t matching = (text_matches(n, ERROR_TEXT) ? p->errors : 0) +
                        (text_matches(n, OK_TEXT) ? p->spans - p->errors : 0);

    if (matching == 0)
        return SEARCH_NONE;
    return matching == p->spans ? SEARCH_EVERY : SEARCH_SOME;
}

/* No span is longer than its part. */
static search_share duration_share(const search_node *n, const frame_part *p)
{
    double longest = (double)p->end_unix_ns - (double)p->start_unix_ns;
    double low = n->op == SEARCH_EQUAL ? n->number : n->op == SEARCH_RANGE ? n->low : 0;

    return low > longest ? SEARCH_NONE : SEARCH_MAYBE;
}

static search_share term_share(const search_node *n, const frame_part *p)
{
    switch (n->field) {
    case SEARCH_SERVICE:
        return service_share(n, p);
    case SEARCH_ENV:
        return every_or_none(text_matches(n, p->env));
    case SEARCH_STATUS:
        return status_share(n, p);
    case SEARCH_TRACE_ID:
        return every_or_none(trace_id_matches(n, p->trace_hi, p->trace_lo));
    case SEARCH_NAME:
        return root_share(text_matches(n, p->name), p->spans);
    case SEARCH_RESOURCE:
        return root_share(text_matches(n, p->resource), p->spans);
    case SEARCH_TYPE:
        return root_share(text_matches(n, p->type), p->spans);
    case SEARCH_TEXT:
        if (n->op == SEARCH_EXISTS)
            return SEARCH_EVERY;
        return root_share(free_text_matches(n, p->resource), p->spans);
    case SEARCH_DURATION:
        return duration_share(n, p);
    case SEARCH_SPAN_ID:
    case SEARCH_ANY:
        return n->op == SEARCH_EXISTS ? SEARCH_EVERY : SEARCH_MAYBE;
    default:
        return SEARCH_MAYBE;
    }
}

/* Both must hold of one span: known only where one of them holds of every span. */
static search_share both(search_share a, search_share b)
{
    if (a == SEARCH_NONE || b == SEARCH_NONE)
        return SEARCH_NONE;
    if (a == SEARCH_EVERY)
        return b;
    return b == SEARCH_EVERY ? a : SEARCH_MAYBE;
}

static search_share node_share(const search_node *n, const frame_part *p)
{
    search_share a, b;

    switch (n->kind) {
    case SEARCH_ALL:
        return SEARCH_EVERY;
    case SEARCH_AND:
        a = node_share(n->left, p);
        return a == SEARCH_NONE ? a : both(a, node_share(n->right, p));
    case SEARCH_OR:
        a = node_share(n->left, p);
        b = node_share(n->right, p);
        return a > b ? a : b;
    case SEARCH_NOT:
        a = node_share(n->left, p);
        if (a == SEARCH_NONE)
            return SEARCH_EVERY;
        return a == SEARCH_EVERY ? SEARCH_NONE : SEARCH_MAYBE;
    case SEARCH_TERM:
        break;
    }
    return term_share(n, p);
}

search_share search_share_of(const search *s, const frame_part *part)
{
    return node_share(s->root, part);
}

/* ---- filters ---- */

/* A number is in the filter as its shortest whole form only; other spellings of it are not. */
static bool is_plain_text(const search_node *n)
{
    char text[SONDE_I64_MAX_LEN];

    if (!n->is_number)
        return true;
    if (n->number < -1e15 || n->number > 1e15 || (double)(int64_t)n->number != n->number)
        return false;
    return sonde_str_eq(n->text, (sonde_str){ text, sonde_format_i64((int64_t)n->number, text) });
}

static bool term_token(const search_node *n, uint64_t *out)
{
    static const filter_field fields[] = {
        [SEARCH_SERVICE] = FILTER_SERVICE,   [SEARCH_NAME] = FILTER_NAME,
        [SEARCH_RESOURCE] = FILTER_RESOURCE, [SEARCH_TYPE] = FILTER_TYPE,
        [SEARCH_ENV] = FILTER_ENV,           [SEARCH_HOST] = FILTER_HOST,
        [SEARCH_VERSION] = FILTER_VERSION,
    };

    if (n->field == SEARCH_ATTR && n->op != SEARCH_EQUAL) {
        *out = filter_token(FILTER_ATTR_NAME, n->key);
        return true;
    }
    if (n->op != SEARCH_EQUAL)
        return false;
    if (n->field == SEARCH_ATTR) {
        *out = filter_attr_token(n->key, n->text);
        return is_plain_text(n);
    }
    if (n->field == SEARCH_STATUS) {
        *out = filter_token(FILTER_STATUS, ERROR_TEXT);
        return sonde_str_eq(n->text, ERROR_TEXT);
    }
    if (n->field > SEARCH_VERSION)
        return false;
    *out = filter_token(fields[n->field], n->text);
    return true;
}

static void node_tokens(const search_node *n, uint64_t *out, size_t *len)
{
    if (n->kind == SEARCH_AND) {
        node_tokens(n->left, out, len);
        node_tokens(n->right, out, len);
    } else if (n->kind == SEARCH_TERM && *len < SEARCH_TOKENS_MAX && term_token(n, &out[*len])) {
        ++*len;
    }
}

size_t search_tokens(const search *s, uint64_t out_tokens[SEARCH_TOKENS_MAX])
{
    size_t len = 0;

    node_tokens(s->root, out_tokens, &len);
    return len;
}

static bool only_trace(const search_node *n, uint64_t *out_hi, uint64_t *out_lo)
{
    if (n->kind == SEARCH_AND)
        return only_trace(n->left, out_hi, out_lo) || only_trace(n->right, out_hi, out_lo);
    if (n->kind != SEARCH_TERM || n->field != SEARCH_TRACE_ID || n->op != SEARCH_EQUAL)
        return false;
    *out_hi = n->id_hi;
    *out_lo = n->id_lo;
    return true;
}

bool search_only_trace(const search *s, uint64_t *out_hi, uint64_t *out_lo)
{
    return only_trace(s->root, out_hi, out_lo);
}
