/* baggage.c - baggages, and the calls that read and change them.
 *
 * A change copies: baggages are small and change seldom, and who shares the old one never sees it move.  Only
 * a new key is added in place while nobody shares. */
#include "baggage.h"

#include "sonde/baggage.h"

#include "area.h"
#include "context.h"
#include "span.h"
#include "tracer.h"

#define FIRST sizeof(sonde__baggage) /* where the text starts */

/* -- baggages ------------------------------------------------------------------------------------- */

void sonde__baggage_free_one(sonde__baggage_ref ref, sonde__cell_stack *cells)
{
    sonde__baggage *b = sonde__baggage_at(ref);

    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    sonde__text_free(&b->text, cells);
    sonde__cell_give(cells, b);
}

sonde__text_cursor sonde__baggage_read(sonde__baggage_ref ref)
{
    static const uint8_t end = SONDE__TEXT_END;

    if (ref == 0)
        return (sonde__text_cursor){ &end, &end, NULL };
    return sonde__text_read(&sonde__baggage_at(ref)->text, sonde__baggage_at(ref), FIRST);
}

static bool find_item(sonde__baggage_ref ref, sonde_str key, sonde__record *out)
{
    sonde__text_cursor c = sonde__baggage_read(ref);

    while (sonde__text_next(&c, out))
        if (sonde_str_eq(sonde__record_key(out), key))
            return true;
    return false;
}

static sonde__baggage *new_baggage(sonde__cell_stack *cells)
{
    sonde__baggage *b = (sonde__baggage *)sonde__cell_take(cells);

    if (!b)
        return NULL;
    atomic_store_explicit(&b->refs, 1, memory_order_relaxed);
    b->items = 0;
    b->bytes = 0;
    sonde__text_init(&b->text, b, FIRST);
    return b;
}

static bool add(sonde__baggage *b, sonde__cell_stack *cells, sonde_str key, sonde_str value)
{
    if (b->items == SONDE__BAGGAGE_ITEMS_MAX ||
        b->bytes + key.len + value.len > SONDE__BAGGAGE_BYTES_MAX ||
        !sonde__text_add(&b->text, cells, SONDE__TEXT_STR, key, value))
        return false;
    b->items++;
    b->bytes += (uint32_t)(key.len + value.len);
    return true;
}

static bool add_record(sonde__baggage *b, sonde__cell_stack *cells, const sonde__record *r)
{
    char whole[SONDE__BAGGAGE_VALUE_MAX];

    if (r->rest == 0)
        return add(b, cells, sonde__record_key(r), sonde__record_head(r));
    sonde__text_copy(r, whole);
    return add(b, cells, sonde__record_key(r), (sonde_str){ whole, r->value_len });
}

/* The items of `from` with the change applied; a key that was there keeps its place. */
static bool copy_changed(sonde__baggage_ref from, sonde__baggage *to, sonde__cell_stack *cells,
                         sonde_str key, sonde_str value)
{
    sonde__text_cursor c = sonde__baggage_read(from);
    bool done = value.len == 0;
    sonde__record r;

    while (sonde__text_next(&c, &r)) {
        bool ok;

        if (!sonde_str_eq(sonde__record_key(&r), key))
            ok = add_record(to, cells, &r);
        else
            ok = value.len == 0 || add(to, cells, key, value);
        if (!ok)
            return false;
        done |= sonde_str_eq(sonde__record_key(&r), key);
    }
    return done || add(to, cells, key, value);
}

/* Nobody else has a reference, nor can get one meanwhile. */
static bool is_ours_alone(sonde__baggage_ref ref)
{
    /* pairs with the release of the others' references */
    return ref != 0 &&
           atomic_load_explicit(&sonde__baggage_at(ref)->refs, memory_order_acquire) == 1;
}

bool sonde__baggage_change(sonde__baggage_ref *ref, sonde__cell_stack *cells, sonde_str key,
                           sonde_str value)
{
    sonde__baggage *b;
    sonde__record r;
    bool ok;

    if (key.len == 0 || key.len > SONDE__BAGGAGE_KEY_MAX || value.len > SONDE__BAGGAGE_VALUE_MAX)
        return false;
    if (is_ours_alone(*ref) && value.len > 0 && !find_item(*ref, key, &r))
        return add(sonde__baggage_at(*ref), cells, key, value);
    b = new_baggage(cells);
    if (!b)
        return false;
    ok = copy_changed(*ref, b, cells, key, value);
    if (ok) {
        sonde__baggage_put(*ref, cells);
        *ref = sonde__cell_index(b);
    }
    if (!ok || b->items == 0) {
        sonde__baggage_put(sonde__cell_index(b), cells);
        *ref = ok ? 0 : *ref;
    }
    return ok;
}

/* -- of spans ------------------------------------------------------------------------------------- */

static void change_span(sonde_span *handle, sonde_str key, sonde_str value)
{
    sonde__span *span = sonde__span_open(handle);
    sonde__area *a = span ? sonde__area_get() : NULL;

    if (a && !sonde__baggage_change(&span->baggage, &a->cells, key, value))
        sonde__count_own(&a->counts, SONDE__BAGGAGE_DROPPED, 1);
}

void sonde_span_set_baggage_n(sonde_span *span, sonde_str key, sonde_str value)
{
    if (value.ptr && value.len > 0)
        change_span(span, key, value);
}

void sonde_span_set_baggage(sonde_span *span, const char *key, const char *value)
{
    sonde_span_set_baggage_n(span, sonde_str_from(key), sonde_str_from(value));
}

void sonde_span_remove_baggage(sonde_span *span, const char *key)
{
    if (key && *key)
        change_span(span, sonde_str_from(key), (sonde_str){ NULL, 0 });
}

void sonde_span_clear_baggage(sonde_span *handle)
{
    sonde__span *span = sonde__span_open(handle);
    sonde__area *a = span ? sonde__area_get() : NULL;

    if (!a)
        return;
    sonde__baggage_put(span->baggage, &a->cells);
    span->baggage = 0;
}

/* -- of contexts ---------------------------------------------------------------------------------- */

static sonde_context *changed(sonde__area *a, sonde__where *w, sonde_str key, sonde_str value)
{
    sonde_context *context;

    (void)sonde__baggage_get(w->baggage);
    if (!sonde__baggage_change(&w->baggage, &a->cells, key, value))
        sonde__count_own(&a->counts, SONDE__BAGGAGE_DROPPED, 1);
    context = sonde__context_make(a, w);
    sonde__baggage_put(w->baggage, &a->cells);
    return context;
}

sonde_context *sonde_context_with_baggage(const sonde_context *handle, const char *key,
                                          const char *value)
{
    uint32_t epoch = atomic_load_explicit(&sonde__live, memory_order_acquire);
    sonde__area *a = epoch != 0 && key && *key ? sonde__area_get() : NULL;
    sonde__segment *fresh = NULL;
    sonde_context *context;
    sonde__where w;

    if (!a)
        return NULL;
    if (!sonde__context_where(handle, &w)) {
        fresh = sonde__context_new_trace(a, epoch);
        if (!fresh)
            return NULL;
        w = (sonde__where){ .segment = fresh };
    }
    context = changed(a, &w, sonde_str_from(key), sonde_str_from(value));
    if (fresh)
        sonde__segment_put(fresh, &a->cells); /* the context has its own reference */
    return context;
}

/* -- reading -------------------------------------------------------------------------------------- */

static __attribute__((noinline)) void visit_long(const sonde__record *r, sonde_visitor visit,
                                                 void *user)
{
    char whole[SONDE__BAGGAGE_VALUE_MAX];

    sonde__text_copy(r, whole);
    visit(user, sonde__record_key(r), (sonde_str){ whole, r->value_len });
}

void sonde__baggage_each(sonde__baggage_ref ref, sonde_visitor visit, void *user)
{
    sonde__text_cursor c = sonde__baggage_read(ref);
    sonde__record r;

    while (sonde__text_next(&c, &r)) {
        if (r.rest > 0)
            visit_long(&r, visit, user);
        else
            visit(user, sonde__record_key(&r), sonde__record_head(&r));
    }
}

static size_t copy_value(sonde__baggage_ref ref, const char *key, char *to, size_t to_bytes)
{
    sonde__record r;

    if (to && to_bytes > 0)
        to[0] = '\0';
    if (!find_item(ref, sonde_str_from(key), &r))
        return 0;
    if (to && r.value_len < to_bytes) {
        sonde__text_copy(&r, to);
        to[r.value_len] = '\0';
    }
    return r.value_len;
}

static sonde__baggage_ref of_span(const sonde_span *handle)
{
    const sonde__span *span = sonde__span_open(handle);

    return span ? span->baggage : 0;
}

static sonde__baggage_ref of_context(const sonde_context *handle)
{
    sonde__where w;

    return sonde__context_where(handle, &w) ? w.baggage : 0;
}

size_t sonde_span_baggage(const sonde_span *span, const char *key, char *to, size_t to_bytes)
{
    return copy_value(of_span(span), key, to, to_bytes);
}

size_t sonde_context_baggage(const sonde_context *context, const char *key, char *to,
                             size_t to_bytes)
{
    return copy_value(of_context(context), key, to, to_bytes);
}

void sonde_span_each_baggage(const sonde_span *span, sonde_visitor visit, void *user)
{
    if (visit)
        sonde__baggage_each(of_span(span), visit, user);
}

void sonde_context_each_baggage(const sonde_context *context, sonde_visitor visit, void *user)
{
    if (visit)
        sonde__baggage_each(of_context(context), visit, user);
}
