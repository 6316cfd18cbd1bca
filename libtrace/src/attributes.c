/* attributes.c - flattening arrays; attributes as texts (links) and with their types (events).
 *
 * Of several attributes with one key the last counts.
 *
 * Source: docs/spec/spans.md, "Tags", "Links", "Events". */
#include "attributes.h"

#include <math.h>
#include <string.h>

#include "base/format.h"

/* -- arrays ----------------------------------------------------------------------------------------- */

typedef struct walk {
    sonde__take_value take;
    void *user;
    uint32_t refused;
    bool enough;
    char key[SONDE__KEY_MAX_BYTES];
} walk;

static void descend(walk *w, size_t key_len, const sonde_value *value, int depth);

static void descend_items(walk *w, size_t key_len, const sonde_value *value, int depth)
{
    uint32_t i;

    for (i = 0; i < value->len && !w->enough; i++) {
        char digits[SONDE_U64_MAX_LEN];
        size_t len = sonde_format_u64(i, digits);

        if (key_len + 1 + len > sizeof(w->key)) {
            w->refused += value->len - i;
            return;
        }
        w->key[key_len] = '.';
        memcpy(w->key + key_len + 1, digits, len);
        descend(w, key_len + 1 + len, &value->as.items[i], depth + 1);
    }
}

static void descend(walk *w, size_t key_len, const sonde_value *value, int depth)
{
    if (value->type != SONDE_VALUE_ARRAY) {
        if (value->type > SONDE_VALUE_NONE && value->type < SONDE_VALUE_ARRAY)
            w->enough = !w->take(w->user, (sonde_str){ w->key, key_len }, value);
    } else if (depth >= SONDE__VALUE_DEPTH_MAX) {
        w->refused++;
    } else {
        descend_items(w, key_len, value, depth);
    }
}

uint32_t sonde__value_flatten(sonde_str key, const sonde_value *value, sonde__take_value take,
                              void *user)
{
    walk w;

    if (value->type != SONDE_VALUE_ARRAY) {
        if (value->type > SONDE_VALUE_NONE && value->type < SONDE_VALUE_ARRAY)
            (void)take(user, key, value);
        return 0;
    }
    w.take = take;
    w.user = user;
    w.refused = 0;
    w.enough = false;
    key.len = sonde_utf8_cut(key, sizeof(w.key));
    memcpy(w.key, key.ptr, key.len);
    descend(&w, key.len, value, 0);
    return w.refused;
}

/* -- as texts ----------------------------------------------------------------------------------------- */

static sonde_str cut(sonde_str text, size_t max)
{
    if (text.len > max)
        text.len = sonde_utf8_cut(text, max);
    return text;
}

static sonde_str text_of(const sonde_value *value, char room[SONDE_DOUBLE_MAX_LEN])
{
    switch (value->type) {
    case SONDE_VALUE_STR:
        return cut(value->as.str, SONDE__VALUE_MAX_BYTES);
    case SONDE_VALUE_BOOL:
        return value->as.integer ? SONDE_STR("true") : SONDE_STR("false");
    case SONDE_VALUE_INT:
        return (sonde_str){ room, sonde_format_i64(value->as.integer, room) };
    default:
        return (sonde_str){ room, sonde_format_double(value->as.number, room) };
    }
}

/* The attribute is there, and no later one has its key. */
static bool counts(const sonde__attributes *a, uint32_t at)
{
    const sonde_attribute *item = &a->items[at];
    uint32_t i;

    if (!item->key.ptr || item->key.len == 0 || item->value.type <= SONDE_VALUE_NONE ||
        item->value.type > SONDE_VALUE_ARRAY)
        return false;
    for (i = at + 1; i < a->len; i++)
        if (a->items[i].key.ptr && sonde_str_eq(a->items[i].key, item->key))
            return false;
    return true;
}

typedef struct texts {
    sonde__packer *packer; /* NULL: counting */
    uint32_t count;
    uint32_t max;
    uint32_t dropped;
} texts;

static bool take_text(void *user, sonde_str key, const sonde_value *value)
{
    texts *t = (texts *)user;
    char room[SONDE_DOUBLE_MAX_LEN];

    if (value->type == SONDE_VALUE_DOUBLE && !isfinite(value->as.number)) {
        t->dropped += t->packer == NULL;
        return true;
    }
    if (t->count == t->max) {
        t->dropped++;
        return !t->packer;
    }
    t->count++;
    if (t->packer) {
        sonde__pack_str(t->packer, cut(key, SONDE__KEY_MAX_BYTES));
        sonde__pack_str(t->packer, text_of(value, room));
    }
    return true;
}

static void walk_texts(const sonde__attributes *a, texts *t)
{
    uint32_t i;

    for (i = 0; i < a->len; i++)
        if (counts(a, i))
            t->dropped += sonde__value_flatten(a->items[i].key, &a->items[i].value, take_text, t);
}

uint32_t sonde__texts_count(const sonde__attributes *a, uint32_t *out_dropped)
{
    texts t = { .max = SONDE__ATTRIBUTES_MAX };

    walk_texts(a, &t);
    *out_dropped = t.dropped;
    return t.count;
}

void sonde__texts_pack(sonde__packer *p, const sonde__attributes *a, uint32_t count)
{
    texts t = { .packer = p, .max = count };

    sonde__pack_map(p, count);
    walk_texts(a, &t);
}

/* -- with their types --------------------------------------------------------------------------------- */

/* The numbers of docs/spec/agent-http.md, "Events". */
enum { WIRE_STR, WIRE_BOOL, WIRE_INT, WIRE_DOUBLE, WIRE_ARRAY };

static bool is_scalar(const sonde_value *v)
{
    return v->type > SONDE_VALUE_NONE && v->type < SONDE_VALUE_ARRAY &&
           (v->type != SONDE_VALUE_DOUBLE || isfinite(v->as.number));
}

static bool is_packable(const sonde_value *v)
{
    uint32_t i;

    if (v->type != SONDE_VALUE_ARRAY)
        return is_scalar(v);
    for (i = 0; i < v->len; i++)
        if (!is_scalar(&v->as.items[i]) || v->as.items[i].type != v->as.items[0].type)
            return false;
    return true;
}

static void pack_type(sonde__packer *p, unsigned type, sonde_str key)
{
    sonde__pack_map(p, 2);
    sonde__pack_str(p, SONDE_STR("type"));
    sonde__pack_u64(p, type);
    sonde__pack_str(p, key);
}

static void pack_scalar(sonde__packer *p, const sonde_value *v)
{
    switch (v->type) {
    case SONDE_VALUE_STR:
        pack_type(p, WIRE_STR, SONDE_STR("string_value"));
        sonde__pack_str(p, cut(v->as.str, SONDE__VALUE_MAX_BYTES));
        break;
    case SONDE_VALUE_BOOL:
        pack_type(p, WIRE_BOOL, SONDE_STR("bool_value"));
        sonde__pack_bool(p, v->as.integer != 0);
        break;
    case SONDE_VALUE_INT:
        pack_type(p, WIRE_INT, SONDE_STR("int_value"));
        sonde__pack_i64(p, v->as.integer);
        break;
    default:
        pack_type(p, WIRE_DOUBLE, SONDE_STR("double_value"));
        sonde__pack_double(p, v->as.number);
    }
}

static void pack_value(sonde__packer *p, const sonde_value *v)
{
    uint32_t i;

    if (v->type != SONDE_VALUE_ARRAY) {
        pack_scalar(p, v);
        return;
    }
    pack_type(p, WIRE_ARRAY, SONDE_STR("array_value"));
    sonde__pack_map(p, 1);
    sonde__pack_str(p, SONDE_STR("values"));
    sonde__pack_array(p, v->len);
    for (i = 0; i < v->len; i++)
        pack_scalar(p, &v->as.items[i]);
}

uint32_t sonde__typed_count(const sonde__attributes *a, uint32_t *out_dropped)
{
    uint32_t count = 0;
    uint32_t i;

    *out_dropped = 0;
    for (i = 0; i < a->len; i++) {
        if (!counts(a, i))
            continue;
        if (count < SONDE__ATTRIBUTES_MAX && is_packable(&a->items[i].value))
            count++;
        else
            (*out_dropped)++;
    }
    return count;
}

void sonde__typed_pack(sonde__packer *p, const sonde__attributes *a, uint32_t count)
{
    uint32_t i;

    sonde__pack_map(p, count);
    for (i = 0; i < a->len && count > 0; i++) {
        if (!counts(a, i) || !is_packable(&a->items[i].value))
            continue;
        sonde__pack_str(p, cut(a->items[i].key, SONDE__KEY_MAX_BYTES));
        pack_value(p, &a->items[i].value);
        count--;
    }
}
