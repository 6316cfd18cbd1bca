/* export_folded.c - collapsed stacks. */
#include "export.h"

#include "base/alloc.h"

static void write_name(sonde_str name, sonde_buf *out)
{
    uint8_t *to = sonde_buf_reserve(out, name.len ? name.len : 1);

    if (!to)
        return;
    for (size_t i = 0; i < name.len; i++)
        to[i] = name.ptr[i] == ';'                           ? (uint8_t)':'
                : name.ptr[i] == '\n' || name.ptr[i] == '\r' ? (uint8_t)' '
                                                             : (uint8_t)name.ptr[i];
    sonde_buf_commit(out, name.len);
}

/* The way from the root; `room` holds any. */
static void write_stack(const flame *f, uint32_t node, uint32_t *room, sonde_buf *out)
{
    size_t len = 0;

    for (; node; node = f->tree.nodes[node].parent)
        room[len++] = node;
    while (len-- > 0) {
        write_name(flame_name(f, room[len]), out);
        if (len > 0)
            sonde_buf_append_byte(out, ';');
    }
}

static uint32_t deepest(const flame *f)
{
    uint32_t max = 0;

    for (uint32_t i = 1; i < f->tree.nodes_len; i++)
        if (f->tree.nodes[i].depth > max)
            max = f->tree.nodes[i].depth;
    return max;
}

void export_folded(const flame *f, bool compared, sonde_buf *out)
{
    uint32_t *stack = sonde_calloc(deepest(f) + 1, sizeof(*stack));

    if (!stack)
        out->status = SONDE_ERR_NOMEM;
    for (uint32_t i = 1; stack && i < f->tree.nodes_len; i++) {
        int64_t before = flame_self(f, i, 0), after = flame_self(f, i, 1);

        if (before <= 0 && (!compared || after <= 0))
            continue;
        write_stack(f, i, stack, out);
        sonde_buf_printf(out, " %lld", (long long)before);
        if (compared)
            sonde_buf_printf(out, " %lld", (long long)after);
        sonde_buf_append_byte(out, '\n');
    }
    sonde_free(stack);
}
