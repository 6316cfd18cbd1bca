/* folded.c - collapsed stacks; see export.h. */
#include "export.h"

#include "base/alloc.h"

static void write_name(sonde_str name, sonde_buf *out)
{
    uint8_t *to = sonde_buf_reserve(out, name.len ? name.len : 1);

    if (!to)
        return;
    for (size_t i = 0; i < name.len; i++)
        to[i] = name.ptr[i] == ';'                   ? (uint8_t)':'
                : (unsigned char)name.ptr[i] < 0x20u ? (uint8_t)' '
                                                     : (uint8_t)name.ptr[i];
    sonde_buf_commit(out, name.len);
}

static void write_node(const sonde_flame *f, const sonde_flame_node *n, sonde_buf *out)
{
    write_name(sonde_flame_name(f, n->frame), out);
    if (n->is_inlined)
        sonde_buf_append_str(out, SONDE_STR(SONDE_FLAME_MARK_INLINED));
    else if (sonde_str_starts(sonde_flame_object(f, n->frame), SONDE_STR("[kernel")))
        sonde_buf_append_str(out, SONDE_STR(SONDE_FLAME_MARK_KERNEL));
}

/* The way from the root; `room` holds any. */
static void write_stack(const sonde_flame *f, uint32_t node, uint32_t *room, sonde_buf *out)
{
    size_t len = 0;

    for (; node; node = f->nodes[node].parent)
        room[len++] = node;
    while (len-- > 0) {
        write_node(f, &f->nodes[room[len]], out);
        if (len > 0)
            sonde_buf_append_byte(out, ';');
    }
}

static bool has_self(const sonde_flame *f, uint32_t node, size_t columns)
{
    for (size_t c = 0; c < columns; c++)
        if (sonde_flame_self(f, node, c) > 0)
            return true;
    return false;
}

static uint32_t deepest(const sonde_flame *f)
{
    uint32_t max = 0;

    for (uint32_t i = 1; i < f->nodes_len; i++)
        if (f->nodes[i].depth > max)
            max = f->nodes[i].depth;
    return max;
}

void sonde_flame_folded(const sonde_flame *f, size_t columns, sonde_buf *out)
{
    uint32_t *stack = (uint32_t *)sonde_calloc(deepest(f) + 1, sizeof(*stack));

    if (!stack)
        out->status = SONDE_ERR_NOMEM;
    for (uint32_t i = 1; stack && i < f->nodes_len; i++) {
        if (!has_self(f, i, columns))
            continue;
        write_stack(f, i, stack, out);
        for (size_t c = 0; c < columns; c++)
            sonde_buf_printf(out, " %lld", (long long)sonde_flame_self(f, i, c));
        sonde_buf_append_byte(out, '\n');
    }
    sonde_free(stack);
}
