/* json_tree.c - builds the tree while it reads; a stack of open nodes instead of recursion. */
#include "json_tree.h"

#include "base/hex.h"
#include "base/parse.h"
#include "codec/json_read.h"

#define TEXT_MAX_BYTES (1u << 20)

/* -- reading -------------------------------------------------------------------------------------- */

typedef struct builder {
    sonde_arena *arena;
    sonde_json_reader reader;
    json_node *open[SONDE_JSON_READ_DEPTH_MAX + 1]; /* objects and arrays that have not ended */
    json_node *last[SONDE_JSON_READ_DEPTH_MAX + 1]; /* their latest children */
    size_t depth;
    sonde_str key; /* of the value to come */
    json_node *root;
} builder;

static json_node *add_node(builder *b, json_kind kind)
{
    json_node *node = (json_node *)sonde_arena_zalloc(b->arena, 1, sizeof(*node));

    if (!node)
        return NULL;
    node->kind = kind;
    node->key = b->key;
    b->key = (sonde_str){ NULL, 0 };
    if (b->depth == 0) {
        b->root = node;
        return node;
    }
    if (b->last[b->depth])
        b->last[b->depth]->next = node;
    else
        b->open[b->depth]->first = node;
    b->last[b->depth] = node;
    b->open[b->depth]->len++;
    return node;
}

static bool begin(builder *b, json_kind kind)
{
    json_node *node = add_node(b, kind);

    if (!node)
        return false;
    b->depth++; /* the reader knows how deep it may get */
    b->open[b->depth] = node;
    b->last[b->depth] = NULL;
    return true;
}

static bool add_text(builder *b, json_kind kind)
{
    json_node *node = add_node(b, kind);

    if (!node)
        return false;
    node->text = sonde_arena_copy(b->arena, b->reader.text);
    node->number = b->reader.number;
    return node->text.ptr != NULL;
}

static bool take_event(builder *b, sonde_json_event event)
{
    switch (event) {
    case SONDE_JSON_OBJECT:
        return begin(b, JSON_OBJECT);
    case SONDE_JSON_ARRAY:
        return begin(b, JSON_ARRAY);
    case SONDE_JSON_OBJECT_END:
    case SONDE_JSON_ARRAY_END:
        b->depth--;
        return true;
    case SONDE_JSON_KEY:
        b->key = sonde_arena_copy(b->arena, b->reader.text);
        return b->key.ptr != NULL;
    case SONDE_JSON_STRING:
        return add_text(b, JSON_STRING);
    case SONDE_JSON_NUMBER:
        return add_text(b, JSON_NUMBER);
    case SONDE_JSON_TRUE:
        return add_node(b, JSON_TRUE) != NULL;
    case SONDE_JSON_FALSE:
        return add_node(b, JSON_FALSE) != NULL;
    default:
        return add_node(b, JSON_NULL) != NULL;
    }
}

sonde_status json_tree_parse(sonde_arena *a, sonde_str text, json_node **out_root,
                             const char **out_why)
{
    builder b = { .arena = a };
    sonde_status status = SONDE_OK;
    sonde_json_event event;

    sonde_json_reader_init(&b.reader, text, TEXT_MAX_BYTES);
    for (event = sonde_json_next(&b.reader);
         status == SONDE_OK && event != SONDE_JSON_END && event != SONDE_JSON_ERROR;
         event = sonde_json_next(&b.reader))
        if (!take_event(&b, event))
            status = SONDE_ERR_NOMEM;
    if (status == SONDE_OK)
        status = b.reader.status;
    *out_why = b.reader.error ? b.reader.error : sonde_status_str(status);
    sonde_json_reader_done(&b.reader);
    *out_root = b.root;
    return status;
}

/* -- using ---------------------------------------------------------------------------------------- */

const json_node *json_member(const json_node *object, const char *name)
{
    const json_node *found = NULL;
    const json_node *m;

    if (!object || object->kind != JSON_OBJECT)
        return NULL;
    for (m = object->first; m; m = m->next)
        if (sonde_str_eq(m->key, sonde_str_from(name)))
            found = m;
    return found && found->kind != JSON_NULL ? found : NULL;
}

bool json_id(const json_node *node, uint64_t *out)
{
    if (!node || (node->kind != JSON_NUMBER && node->kind != JSON_STRING))
        return false;
    if (sonde_str_starts(node->text, SONDE_STR("0x")))
        return sonde_hex_parse_u64(sonde_str_sub(node->text, 2, node->text.len), 1, out) ==
               SONDE_OK;
    return sonde_parse_u64(node->text, out) == SONDE_OK;
}

static bool is_whole(sonde_str number)
{
    size_t i;

    for (i = 0; i < number.len; i++)
        if (number.ptr[i] == '.' || number.ptr[i] == 'e' || number.ptr[i] == 'E')
            return false;
    return true;
}

static sonde_value number_value(const json_node *node)
{
    int64_t whole;

    if (!is_whole(node->text))
        return sonde_value_double(node->number);
    if (sonde_parse_i64(node->text, &whole) == SONDE_OK)
        return sonde_value_int(whole);
    return (sonde_value){ .type = SONDE_VALUE_NONE };
}

static sonde_value array_value(sonde_arena *a, const json_node *node)
{
    sonde_value *items = (sonde_value *)sonde_arena_zalloc(a, node->len + 1u, sizeof(*items));
    const json_node *item;
    uint32_t len = 0;

    for (item = node->first; items && item; item = item->next)
        items[len++] = json_value(a, item); /* as deep as the reader goes */
    return sonde_value_array(items, len);
}

sonde_value json_value(sonde_arena *a, const json_node *node)
{
    switch (node->kind) {
    case JSON_FALSE:
    case JSON_TRUE:
        return sonde_value_bool(node->kind == JSON_TRUE);
    case JSON_NUMBER:
        return number_value(node);
    case JSON_STRING:
        return sonde_value_str_n(node->text);
    case JSON_ARRAY:
        return array_value(a, node);
    default:
        return (sonde_value){ .type = SONDE_VALUE_NONE };
    }
}
