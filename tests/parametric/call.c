/* call.c - fields of a request. */
#include "call.h"

#include "base/parse.h"

void call_fail(call *c, unsigned status, const char *why)
{
    c->status = status;
    c->error = why;
}

const char *call_text(call *c, const char *name)
{
    const json_node *node = json_member(c->body, name);

    return node && node->kind == JSON_STRING && node->text.len > 0 ? node->text.ptr : NULL;
}

const char *call_needs_text(call *c, const char *name)
{
    const char *text = call_text(c, name);

    if (!text)
        call_fail(c, 422, "a text is missing: name, key, value or resource");
    return text;
}

bool call_id(call *c, const char *name, uint64_t *out)
{
    return json_id(json_member(c->body, name), out) && *out != 0;
}

int64_t call_i64(const json_node *object, const char *name)
{
    const json_node *node = json_member(object, name);
    int64_t value;

    if (!node || node->kind != JSON_NUMBER)
        return 0;
    if (sonde_parse_i64(node->text, &value) == SONDE_OK)
        return value;
    return node->number > -9e18 && node->number < 9e18 ? (int64_t)node->number : 0;
}

uint32_t call_attributes(call *c, const json_node *object, sonde_attribute **out)
{
    const json_node *m;
    uint32_t len = 0;

    *out = NULL;
    if (!object || object->kind != JSON_OBJECT)
        return 0;
    *out = (sonde_attribute *)sonde_arena_zalloc(&c->arena, object->len + 1u, sizeof(**out));
    for (m = object->first; *out && m; m = m->next) {
        if (m->kind == JSON_NULL)
            continue;
        (*out)[len].key = m->key;
        (*out)[len++].value = json_value(&c->arena, m);
    }
    return len;
}
