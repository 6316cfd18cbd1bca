/* symbols.c - functions of an ELF file, sorted; files opened once and only if they are the ones that are mapped. */
#include "symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#define ENTRIES_MAX (1u << 22)
#define FILE_MAX    ((off_t)4 << 30)

/* -- a file ----------------------------------------------------------------------------------------- */

typedef struct elf {
    const sonde_prof__elf_source *file;
    ElfW(Ehdr) head;
} elf;

static bool copy(const elf *e, uint64_t at, void *to, size_t bytes)
{
    if (at > e->file->len || bytes > e->file->len - at)
        return false;
    if (e->file->fd >= 0)
        return pread(e->file->fd, to, bytes, (off_t)at) == (ssize_t)bytes;
    memcpy(to, e->file->bytes + at, bytes);
    return true;
}

static bool open_elf(elf *e)
{
    return copy(e, 0, &e->head, sizeof(e->head)) && memcmp(e->head.e_ident, ELFMAG, SELFMAG) == 0 &&
           e->head.e_ident[EI_CLASS] == ELFCLASS64 && e->head.e_ident[EI_DATA] == ELFDATA2LSB &&
           e->head.e_shentsize == sizeof(ElfW(Shdr));
}

static bool section(const elf *e, uint32_t number, ElfW(Shdr) * out)
{
    return number < e->head.e_shnum && e->head.e_shoff <= e->file->len &&
           copy(e, e->head.e_shoff + (uint64_t)number * sizeof(*out), out, sizeof(*out));
}

/* The content of a section, NUL behind it; the caller's. */
static sonde_status load(const elf *e, const ElfW(Shdr) * s, size_t max_bytes, uint8_t **out)
{
    if (s->sh_size > max_bytes)
        return SONDE_ERR_TOO_BIG;
    if (s->sh_offset > e->file->len || s->sh_size > e->file->len - s->sh_offset)
        return SONDE_ERR_SYNTAX;
    *out = (uint8_t *)sonde_malloc(s->sh_size + 1);
    if (!*out)
        return SONDE_ERR_NOMEM;
    (*out)[s->sh_size] = 0;
    return copy(e, s->sh_offset, *out, s->sh_size) ? SONDE_OK : SONDE_ERR_SYNTAX;
}

/* .symtab, else .dynsym, and its strings. */
static bool find_symbols(const elf *e, ElfW(Shdr) * symbols, ElfW(Shdr) * strings)
{
    bool found = false;
    uint32_t i;

    for (i = 0; i < e->head.e_shnum; i++) {
        ElfW(Shdr) s, t;

        if (!section(e, i, &s) || (s.sh_type != SHT_SYMTAB && s.sh_type != SHT_DYNSYM) ||
            s.sh_size / sizeof(ElfW(Sym)) > ENTRIES_MAX || !section(e, s.sh_link, &t) ||
            t.sh_type != SHT_STRTAB)
            continue;
        if (found && s.sh_type != SHT_SYMTAB)
            continue;
        *symbols = s;
        *strings = t;
        found = true;
    }
    return found;
}

/* -- a table ---------------------------------------------------------------------------------------- */

/* While reading: a symbol with what decides between those of one address. */
typedef struct candidate {
    sonde_prof__symbol symbol;
    uint32_t rank; /* the highest one stays */
} candidate;

static bool is_function(const ElfW(Sym) * s)
{
    unsigned type = s->st_info & 0xf;

    return s->st_shndx != SHN_UNDEF && s->st_name != 0 && s->st_value != 0 &&
           (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

/* Sized before unsized, global before weak before local, no underscore before one, long before short. */
static uint32_t rank_of(const ElfW(Sym) * s, const char *name, size_t len)
{
    unsigned binding = s->st_info >> 4;
    uint32_t rank = s->st_size > 0 ? 8 : 0;

    rank += binding == STB_GLOBAL ? 4 : binding == STB_WEAK ? 2 : 0;
    rank += name[0] != '_';
    return rank << 16 | (uint32_t)(len < 0xffff ? len : 0xffff);
}

static bool is_before(const candidate *a, const candidate *b)
{
    return a->symbol.vaddr != b->symbol.vaddr ? a->symbol.vaddr < b->symbol.vaddr
                                              : a->rank > b->rank;
}

static void sink(candidate *items, uint32_t at, uint32_t len)
{
    const candidate moved = items[at];
    uint32_t child;

    for (; (child = 2 * at + 1) < len; at = child) {
        child += child + 1 < len && is_before(&items[child], &items[child + 1]);
        if (!is_before(&moved, &items[child]))
            break;
        items[at] = items[child];
    }
    items[at] = moved;
}

/* By heap: qsort() of libc allocates, which the copy of a crashed process must not (receiver.h). */
static void sort(candidate *items, uint32_t len)
{
    uint32_t i;

    for (i = len / 2; i-- > 0;)
        sink(items, i, len);
    for (i = len; i-- > 1;) {
        candidate last = items[i];

        items[i] = items[0];
        items[0] = last;
        sink(items, 0, i);
    }
}

typedef struct reading {
    uint8_t *symbols; /* owned, as the next two */
    uint8_t *names;   /* NUL behind them */
    candidate *items;
    size_t names_len;
    uint32_t entries;
    uint32_t len;
} reading;

/* Mapping symbols of the assembler ($x, $d) are none. */
static void take(reading *r, uint32_t number)
{
    const char *name;
    ElfW(Sym) s;
    size_t len;

    memcpy(&s, r->symbols + (size_t)number * sizeof(s), sizeof(s));
    if (!is_function(&s) || s.st_name >= r->names_len)
        return;
    name = (const char *)r->names + s.st_name;
    len = strlen(name);
    if (len == 0 || name[0] == '$')
        return;
    r->items[r->len++] = (candidate){
        { s.st_value, s.st_size < UINT32_MAX ? (uint32_t)s.st_size : UINT32_MAX, s.st_name },
        rank_of(&s, name, len),
    };
}

/* One for each address, names behind one another. */
static sonde_status finish(reading *r, size_t max_bytes, sonde_prof__symbol_table *out)
{
    const char *names = (const char *)r->names;
    size_t names_len = 0, at = 0;
    uint32_t i, len = 0;

    for (i = 0; i < r->len; i++) {
        if (len > 0 && r->items[len - 1].symbol.vaddr == r->items[i].symbol.vaddr)
            continue;
        r->items[len++] = r->items[i];
        names_len += strlen(names + r->items[i].symbol.name) + 1;
    }
    if (names_len + len * sizeof(out->items[0]) > max_bytes || names_len > UINT32_MAX)
        return SONDE_ERR_TOO_BIG;
    out->items = (sonde_prof__symbol *)sonde_malloc(len * sizeof(out->items[0]));
    out->names = (char *)sonde_malloc(names_len);
    if (!out->items || !out->names) {
        sonde_prof__symbol_table_done(out);
        return SONDE_ERR_NOMEM;
    }
    for (i = 0; i < len; i++) {
        size_t bytes = strlen(names + r->items[i].symbol.name) + 1;

        out->items[i] = r->items[i].symbol;
        out->items[i].name = (uint32_t)at;
        memcpy(out->names + at, names + r->items[i].symbol.name, bytes);
        at += bytes;
    }
    out->len = len;
    out->names_len = names_len;
    return SONDE_OK;
}

static sonde_status load_all(reading *r, const elf *e, const ElfW(Shdr) * symbols,
                             const ElfW(Shdr) * strings, size_t max_bytes)
{
    sonde_status status = load(e, symbols, max_bytes, &r->symbols);

    if (status == SONDE_OK)
        status = load(e, strings, max_bytes, &r->names);
    if (status != SONDE_OK)
        return status;
    r->names_len = strings->sh_size;
    r->entries = (uint32_t)(symbols->sh_size / sizeof(ElfW(Sym)));
    r->items = (candidate *)sonde_malloc((r->entries + 1) * sizeof(*r->items));
    return r->items ? SONDE_OK : SONDE_ERR_NOMEM;
}

sonde_status sonde_prof__symbol_table_read(const sonde_prof__elf_source *file, size_t max_bytes,
                                           sonde_prof__symbol_table *out)
{
    elf e = { .file = file };
    reading r = { NULL, NULL, NULL, 0, 0, 0 };
    ElfW(Shdr) symbols, strings;
    sonde_status status;
    uint32_t i;

    memset(out, 0, sizeof(*out));
    if (!open_elf(&e))
        return SONDE_ERR_SYNTAX;
    if (!find_symbols(&e, &symbols, &strings))
        return SONDE_OK;
    status = load_all(&r, &e, &symbols, &strings, max_bytes);
    for (i = 0; i < r.entries && status == SONDE_OK; i++)
        take(&r, i);
    if (status == SONDE_OK && r.len > 0) {
        sort(r.items, r.len);
        status = finish(&r, max_bytes, out);
    }
    sonde_free(r.symbols);
    sonde_free(r.names);
    sonde_free(r.items);
    return status;
}

void sonde_prof__symbol_table_done(sonde_prof__symbol_table *t)
{
    sonde_free(t->items);
    sonde_free(t->names);
    memset(t, 0, sizeof(*t));
}

sonde_str sonde_prof__symbol_at(const sonde_prof__symbol_table *t, uint64_t vaddr)
{
    uint32_t lo = 0, hi = t->len;
    const sonde_prof__symbol *s;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (t->items[mid].vaddr <= vaddr)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0)
        return (sonde_str){ "", 0 };
    s = &t->items[lo - 1];
    if (s->size != 0 && vaddr - s->vaddr >= s->size)
        return (sonde_str){ "", 0 };
    return sonde_str_from(t->names + s->name);
}

/* -- the files of this process ---------------------------------------------------------------------- */

typedef struct sonde_prof__symbols_of {
    sonde_prof__symbol_table table;
    bool tried;
} sonde_prof__symbols_of;

void sonde_prof__symbols_init(sonde_prof__symbols *s)
{
    memset(s, 0, sizeof(*s));
}

void sonde_prof__symbols_done(sonde_prof__symbols *s)
{
    uint32_t i;

    for (i = 0; i < s->len; i++)
        sonde_prof__symbol_table_done(&s->objects[i].table);
    sonde_free(s->objects);
    memset(s, 0, sizeof(*s));
}

sonde_status sonde_prof__symbol_table_of(const sonde_prof__loaded *object, size_t max_bytes,
                                         sonde_prof__symbol_table *out)
{
    sonde_status status = SONDE_ERR_NOT_FOUND;
    struct stat st;
    int fd;

    memset(out, 0, sizeof(*out));
    if (object->flags & SONDE_PROF__OBJECT_VDSO) /* it has no file, and is in memory whole */
        return sonde_prof__symbol_table_read(
            &(sonde_prof__elf_source){ -1, (const uint8_t *)(uintptr_t)object->bias,
                                       object->length },
            max_bytes, out);
    if (object->path.len == 0 || (object->flags & SONDE_PROF__OBJECT_DELETED))
        return SONDE_ERR_NOT_FOUND;
    fd = open(object->path.ptr, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return SONDE_ERR_SYS;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size < FILE_MAX &&
        (uint64_t)st.st_ino == object->inode)
        status = sonde_prof__symbol_table_read(
            &(sonde_prof__elf_source){ fd, NULL, (uint64_t)st.st_size }, max_bytes, out);
    (void)close(fd);
    return status;
}

static sonde_prof__symbols_of *place_of(sonde_prof__symbols *s, uint32_t id)
{
    uint32_t len = s->len ? s->len : 32;
    sonde_prof__symbols_of *grown;

    if (id < s->len)
        return &s->objects[id];
    while (len <= id)
        len *= 2;
    grown = (sonde_prof__symbols_of *)sonde_realloc(s->objects, len * sizeof(*grown));
    if (!grown)
        return NULL;
    memset(grown + s->len, 0, (len - s->len) * sizeof(*grown));
    s->objects = grown;
    s->len = len;
    return &grown[id];
}

sonde_str sonde_prof__symbols_find(sonde_prof__symbols *s, const sonde_prof__loaded *object,
                                   uint64_t vaddr)
{
    sonde_prof__symbols_of *of = place_of(s, object->id);

    if (!of)
        return (sonde_str){ "", 0 };
    if (!of->tried) {
        sonde_status status =
            sonde_prof__symbol_table_of(object, SONDE_PROF__SYMBOLS_BYTES - s->bytes, &of->table);

        of->tried = true;
        s->full += status == SONDE_ERR_TOO_BIG || status == SONDE_ERR_NOMEM;
        s->bytes += of->table.names_len + of->table.len * sizeof(of->table.items[0]);
    }
    return sonde_prof__symbol_at(&of->table, vaddr);
}
