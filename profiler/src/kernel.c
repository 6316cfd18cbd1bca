/* kernel.c - "ffffffff81000000 T _stext" and a hundred thousand lines more, once. */
#include "kernel.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "base/alloc.h"

#define CHUNK_BYTES    16384u
#define ITEMS_FIRST    16384u
#define NAMES_FIRST    ((size_t)256 * 1024)
#define NAME_MAX_BYTES 512u

static sonde_prof__kernel_table names;
static bool is_read;

/* -- a table ---------------------------------------------------------------------------------------- */

static size_t bytes_of(uint32_t items, size_t text)
{
    return items * sizeof(sonde_prof__symbol) + text;
}

static bool room_for_item(sonde_prof__kernel_table *t)
{
    uint32_t cap = t->items_cap ? t->items_cap * 2 : ITEMS_FIRST;
    sonde_prof__symbol *items;

    if (t->symbols.len < t->items_cap)
        return true;
    if (bytes_of(cap, t->names_cap) > t->max_bytes)
        return false;
    items = (sonde_prof__symbol *)sonde_realloc(t->symbols.items, cap * sizeof(*items));
    if (!items)
        return false;
    t->symbols.items = items;
    t->items_cap = cap;
    return true;
}

static bool room_for_name(sonde_prof__kernel_table *t, size_t len)
{
    size_t cap = t->names_cap ? t->names_cap * 2 : NAMES_FIRST;
    char *text;

    if (t->names_cap - t->symbols.names_len > len)
        return true;
    if (bytes_of(t->items_cap, cap) > t->max_bytes)
        return false;
    text = (char *)sonde_realloc(t->symbols.names, cap);
    if (!text)
        return false;
    t->symbols.names = text;
    t->names_cap = cap;
    return true;
}

static void add(sonde_prof__kernel_table *t, uint64_t address, sonde_str name)
{
    sonde_prof__symbol_table *s = &t->symbols;

    if (!room_for_item(t) || !room_for_name(t, name.len))
        return;
    s->items[s->len++] = (sonde_prof__symbol){ address, 0, (uint32_t)s->names_len };
    memcpy(s->names + s->names_len, name.ptr, name.len);
    s->names[s->names_len + name.len] = '\0';
    s->names_len += name.len + 1;
}

/* Sixteen digits; 0 for anything else. */
static uint64_t hex(sonde_str s)
{
    uint64_t n = 0;
    size_t i;

    for (i = 0; i < s.len && s.len == 16; i++) {
        char c = s.ptr[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return 0;
        n = n << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return n;
}

/* "ADDRESS TYPE NAME" and, behind a tab, the module. */
static void take_line(sonde_prof__kernel_table *t, sonde_str line)
{
    uint64_t address = hex(sonde_str_cut(&line, ' '));
    sonde_str type = sonde_str_cut(&line, ' '), name = sonde_str_cut(&line, '\t');

    if (address == 0 || type.len != 1 || !strchr("tTwW", type.ptr[0]) || name.len == 0 ||
        name.len > NAME_MAX_BYTES || memchr(name.ptr, '\0', name.len))
        return;
    add(t, address, name);
}

size_t sonde_prof__kernel_take(sonde_prof__kernel_table *t, sonde_str text)
{
    size_t used = 0;

    while (used < text.len) {
        const char *end = memchr(text.ptr + used, '\n', text.len - used);

        if (!end)
            break;
        take_line(t, sonde_str_sub(text, used, (size_t)(end - text.ptr) - used));
        used = (size_t)(end - text.ptr) + 1;
    }
    return used;
}

static int by_address(const void *x, const void *y)
{
    const sonde_prof__symbol *a = x, *b = y;

    return (a->vaddr > b->vaddr) - (a->vaddr < b->vaddr);
}

void sonde_prof__kernel_finish(sonde_prof__kernel_table *t)
{
    uint32_t i;

    for (i = 1; i < t->symbols.len; i++)
        if (t->symbols.items[i].vaddr < t->symbols.items[i - 1].vaddr) { /* modules come last */
            qsort(t->symbols.items, t->symbols.len, sizeof(t->symbols.items[0]), by_address);
            return;
        }
}

void sonde_prof__kernel_done(sonde_prof__kernel_table *t)
{
    sonde_prof__symbol_table_done(&t->symbols);
    memset(t, 0, sizeof(*t));
}

/* -- the running kernel ----------------------------------------------------------------------------- */

static void read_all(int fd, char *chunk)
{
    size_t len = 0, used;
    ssize_t n;

    while ((n = read(fd, chunk + len, CHUNK_BYTES - len)) > 0) {
        len += (size_t)n;
        used = sonde_prof__kernel_take(&names, (sonde_str){ chunk, len });
        if (used == 0 && len == CHUNK_BYTES)
            return; /* no line is that long */
        memmove(chunk, chunk + used, len - used);
        len -= used;
    }
}

static void read_names(void)
{
    char *chunk = (char *)sonde_malloc(CHUNK_BYTES);
    int fd = chunk ? open("/proc/kallsyms", O_RDONLY | O_CLOEXEC) : -1;

    names.max_bytes = SONDE_PROF__KERNEL_BYTES;
    if (fd >= 0) {
        read_all(fd, chunk);
        (void)close(fd);
    }
    sonde_free(chunk);
    sonde_prof__kernel_finish(&names);
}

sonde_str sonde_prof__kernel_name(uint64_t address)
{
    if (!is_read)
        read_names();
    is_read = true;
    return sonde_prof__symbol_at(&names.symbols, address);
}

void sonde_prof__kernel_forget(void)
{
    sonde_prof__kernel_done(&names);
    is_read = false;
}
