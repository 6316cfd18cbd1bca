/* user.c - who a trace is about: tags of its first span here, and an id that travels on. */
#include "user.h"

#include <string.h>

#include "base/hex.h"
#include "sonde/http.h"

#include "area.h"
#include "span.h"

#define ID_MAX_BYTES 150 /* of one that travels: 200 as base64 */

typedef struct carried {
    _Atomic uint64_t token;
    uint32_t len;
    char text[SONDE__CELL_BYTES - sizeof(uint64_t) - sizeof(uint32_t)]; /* base64 */
} carried;

_Static_assert(sizeof(carried) == SONDE__CELL_BYTES, "one cell");

sonde_str sonde__segment_user(const sonde__segment *s)
{
    const carried *c;

    if (!sonde__segment_has_user(s))
        return (sonde_str){ NULL, 0 };
    c = (const carried *)sonde__cell_at(s->user);
    return (sonde_str){ c->text, c->len };
}

/* The first id that fits stays: others may be reading it. */
static void carry(sonde__area *a, sonde__segment *s, sonde_str id)
{
    carried *c;

    if (id.len > ID_MAX_BYTES || !(c = (carried *)sonde__cell_take(&a->cells))) {
        sonde__count_own(&a->counts, SONDE__TAGS_DROPPED, 1);
        return;
    }
    if (atomic_fetch_or_explicit(&s->flags, SONDE__SEGMENT_USER_TAKEN, memory_order_relaxed) &
        SONDE__SEGMENT_USER_TAKEN) {
        sonde__cell_give(&a->cells, c);
        return;
    }
    c->len = (uint32_t)sonde_base64_encode((const uint8_t *)id.ptr, id.len, c->text);
    s->user = sonde__cell_index(c);
    atomic_fetch_or_explicit(&s->flags, SONDE__SEGMENT_HAS_USER, memory_order_release);
}

/* The first span of the trace here, if this thread works on it too. */
static sonde_span *root_of(const sonde__area *a, sonde__span *span)
{
    uint64_t root = atomic_load_explicit(&span->segment->local_root_id, memory_order_relaxed);
    uint32_t i;

    for (i = 0; span->id != root && i < a->depth; i++) {
        const sonde__place *p = &a->places[i];

        if (p->span && sonde__cell_token(p->span) == p->token && p->segment == span->segment &&
            p->span_id == root)
            return (sonde_span *)(uintptr_t)p->token;
    }
    return (sonde_span *)sonde__cell_handle(span);
}

void sonde_span_set_user(sonde_span *handle, const sonde_user *user)
{
    sonde__span *span = sonde__span_open(handle);
    sonde__area *a = span && user ? sonde__area_get() : NULL;
    sonde_user u = { 0 };
    size_t bytes = sizeof(u);
    sonde_span *root;

    if (!a)
        return;
    if (user->struct_bytes > 0 && user->struct_bytes < bytes)
        bytes = user->struct_bytes;
    memcpy(&u, user, bytes);
    root = root_of(a, span);
    sonde_span_set_str(root, "usr.id", u.id);
    sonde_span_set_str(root, "usr.email", u.email);
    sonde_span_set_str(root, "usr.name", u.name);
    sonde_span_set_str(root, "usr.role", u.role);
    sonde_span_set_str(root, "usr.scope", u.scope);
    sonde_span_set_str(root, "usr.session_id", u.session_id);
    if (u.propagate && u.id && *u.id)
        carry(a, span->segment, sonde_str_from(u.id));
}
