/* symbols_dwarf.c - source lines and inlined functions, from a file's debug information.
 *
 *   address ─▶ unit (by its ranges) ─▶ function (by its ranges) ─▶ blocks and inlined calls that hold the address
 *
 * Units are found once, functions of a unit when it is first asked for.  libdw reads sections as they are
 * needed; what they come to is in dwarf_reader_bytes().
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <gelf.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/hex.h"
#include "symbols_internal.h"

#define UNITS_MAX       65536u
#define RANGES_MAX      1048576u
#define FUNCTIONS_MAX   1048576u /* of one unit */
#define DIES_MAX        8388608u /* looked at for one unit, or one answer */
#define DEPTH_MAX       64u /* blocks and inlined calls around an address; namespaces around a function */
#define DEBUG_MAX_BYTES (UINT64_C(2) * 1024 * 1024 * 1024)

typedef struct range {
    uint64_t low, high; /* high: not in it */
    uint32_t at;        /* index of a unit or function */
} range;

typedef struct range_list {
    range *items; /* by low, once sorted */
    uint32_t len, cap;
    uint64_t longest;
} range_list;

typedef struct unit {
    Dwarf_Die lines; /* the unit that has the line table: the skeleton of a split one */
    Dwarf_Die die;   /* the one that has the functions */
    Dwarf_Off *functions;
    uint32_t functions_len, functions_cap;
    range_list ranges; /* of functions */
    bool is_read;
} unit;

struct dwarf_reader {
    int fd;
    Elf *elf;
    Dwarf *dwarf;
    int alt_fd;
    Elf *alt_elf;
    Dwarf *alt;
    unit *units;
    uint32_t units_len, units_cap;
    range_list ranges; /* of units */
    uint64_t section_bytes;
    size_t own_bytes;
};

/* ---- ranges ---- */

static void add_range(range_list *l, uint64_t low, uint64_t high, uint32_t at)
{
    range *items;

    if (high <= low || low == 0) /* what the linker threw away begins at 0 */
        return;
    items = sonde_array_room(l->items, l->len, &l->cap, sizeof(*items), RANGES_MAX);
    if (!items)
        return;
    l->items = items;
    items[l->len++] = (range){ low, high, at };
    if (high - low > l->longest)
        l->longest = high - low;
}

static void add_die_ranges(range_list *l, Dwarf_Die *die, uint32_t at)
{
    Dwarf_Addr base, low, high;
    ptrdiff_t next = 0;

    for (uint32_t i = 0; i < RANGES_MAX; i++) {
        next = dwarf_ranges(die, next, &base, &low, &high);
        if (next <= 0)
            return;
        add_range(l, low, high, at);
    }
}

static int by_low(const void *a, const void *b)
{
    const range *x = a, *y = b;

    return x->low != y->low ? (x->low < y->low ? -1 : 1) : x->high < y->high ? 1 : -1;
}

static void sort_ranges(range_list *l)
{
    if (l->len)
        qsort(l->items, l->len, sizeof(*l->items), by_low);
}

/* The innermost one; NULL: none. */
static const range *find_range(const range_list *l, uint64_t address)
{
    uint32_t low = 0, high = l->len;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (l->items[middle].low <= address)
            low = middle + 1;
        else
            high = middle;
    }
    while (low > 0 && address - l->items[low - 1].low < l->longest) {
        if (address < l->items[low - 1].high)
            return &l->items[low - 1];
        low--;
    }
    return NULL;
}

/* ---- units ---- */

static void add_unit(dwarf_reader *r, Dwarf_Die *lines, Dwarf_Die *die)
{
    unit *items =
        sonde_array_room(r->units, r->units_len, &r->units_cap, sizeof(*items), UNITS_MAX);

    if (!items)
        return;
    r->units = items;
    items[r->units_len] = (unit){ .lines = *lines, .die = *die };
    add_die_ranges(&r->ranges, lines, r->units_len);
    r->units_len++;
}

static void find_units(dwarf_reader *r)
{
    Dwarf_CU *cu = NULL;
    Dwarf_Half version;
    uint8_t type;
    Dwarf_Die die, sub;

    while (r->units_len < UNITS_MAX &&
           dwarf_get_units(r->dwarf, cu, &cu, &version, &type, &die, &sub) == 0) {
        /* a split unit's skeleton has a tag of its own since DWARF 5 only */
        if (type == DW_UT_skeleton && sub.cu && dwarf_tag(&sub) == DW_TAG_compile_unit)
            add_unit(r, &die, &sub);
        else if (dwarf_tag(&die) == DW_TAG_compile_unit)
            add_unit(r, &die, &die);
    }
    sort_ranges(&r->ranges);
}

static void add_function(unit *u, Dwarf_Die *die)
{
    Dwarf_Off *items;

    if (!dwarf_hasattr(die, DW_AT_low_pc) && !dwarf_hasattr(die, DW_AT_ranges))
        return; /* a declaration, or inlined everywhere */
    items = sonde_array_room(u->functions, u->functions_len, &u->functions_cap, sizeof(*items),
                             FUNCTIONS_MAX);
    if (!items)
        return;
    u->functions = items;
    items[u->functions_len] = dwarf_dieoffset(die);
    add_die_ranges(&u->ranges, die, u->functions_len);
    u->functions_len++;
}

/* Functions stand in the unit, in namespaces and types, and in other functions. */
static bool may_hold_functions(int tag)
{
    return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_structure_type ||
           tag == DW_TAG_class_type || tag == DW_TAG_union_type || tag == DW_TAG_enumeration_type ||
           tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block;
}

static void read_functions(unit *u, Dwarf_Die *of, uint32_t depth, uint32_t *dies)
{
    Dwarf_Die child;
    int tag;

    if (depth == DEPTH_MAX || dwarf_child(of, &child) != 0)
        return;
    do {
        if ((*dies)++ == DIES_MAX)
            return;
        tag = dwarf_tag(&child);
        if (tag == DW_TAG_subprogram)
            add_function(u, &child);
        if (may_hold_functions(tag) && dwarf_haschildren(&child) == 1)
            read_functions(u, &child, depth + 1, dies);
    } while (dwarf_siblingof(&child, &child) == 0);
}

static void read_unit(dwarf_reader *r, unit *u)
{
    uint32_t dies = 0;

    if (u->is_read)
        return;
    u->is_read = true;
    read_functions(u, &u->die, 0, &dies);
    sort_ranges(&u->ranges);
    r->own_bytes += u->functions_cap * sizeof(*u->functions) + u->ranges.cap * sizeof(range);
}

/* ---- an address ---- */

typedef struct chain {
    Dwarf_Die die[DEPTH_MAX]; /* the function, then inlined calls inwards */
    uint32_t len;
} chain;

/* The child that holds the address and is a block or an inlined call. */
static bool find_inner(Dwarf_Die *of, uint64_t address, Dwarf_Die *out, uint32_t *dies)
{
    Dwarf_Die child;
    int tag;

    if (dwarf_child(of, &child) != 0)
        return false;
    do {
        if ((*dies)++ == DIES_MAX)
            return false;
        tag = dwarf_tag(&child);
        if ((tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine) &&
            dwarf_haspc(&child, address) == 1) {
            *out = child;
            return true;
        }
    } while (dwarf_siblingof(&child, &child) == 0);
    return false;
}

static void find_chain(Dwarf_Die *function, uint64_t address, chain *c)
{
    Dwarf_Die at = *function, inner;
    uint32_t dies = 0;

    c->die[0] = at;
    c->len = 1;
    for (uint32_t depth = 0; depth < DEPTH_MAX && find_inner(&at, address, &inner, &dies);
         depth++) {
        at = inner;
        if (dwarf_tag(&at) == DW_TAG_inlined_subroutine && c->len < DEPTH_MAX)
            c->die[c->len++] = at;
    }
}

static void set_name(symbol_line *l, Dwarf_Die *die)
{
    Dwarf_Attribute a;
    const char *name = NULL;

    if (dwarf_attr_integrate(die, DW_AT_linkage_name, &a) ||
        dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &a))
        name = dwarf_formstring(&a);
    l->is_short = name == NULL;
    l->name = sonde_str_from(name ? name : dwarf_diename(die));
}

static uint32_t number(Dwarf_Die *die, unsigned name, bool integrate)
{
    Dwarf_Attribute a;
    Dwarf_Word v;

    if (!(integrate ? dwarf_attr_integrate(die, name, &a) : dwarf_attr(die, name, &a)) ||
        dwarf_formudata(&a, &v) != 0 || v > UINT32_MAX)
        return 0;
    return (uint32_t)v;
}

static sonde_str file_of(Dwarf_Die *lines, uint32_t which)
{
    Dwarf_Files *files;
    size_t count;

    if (dwarf_getsrcfiles(lines, &files, &count) != 0 || which >= count)
        return (sonde_str){ NULL, 0 };
    return sonde_str_from(dwarf_filesrc(files, which, NULL, NULL));
}

static void set_place(symbol_line *l, Dwarf_Die *lines, uint64_t address)
{
    Dwarf_Line *at = dwarf_getsrc_die(lines, address);
    int line = 0;

    if (!at)
        return;
    l->file = sonde_str_from(dwarf_linesrc(at, NULL, NULL));
    if (dwarf_lineno(at, &line) == 0 && line > 0)
        l->line = (uint32_t)line;
}

size_t dwarf_reader_lines(dwarf_reader *r, uint64_t address, symbol_line out[SYMBOLS_LINES_MAX])
{
    const range *in = find_range(&r->ranges, address), *function;
    symbol_line place = { .line = 0 };
    Dwarf_Die die;
    size_t len = 0;
    chain c;
    unit *u;

    if (!in)
        return 0;
    u = &r->units[in->at];
    read_unit(r, u);
    set_place(&place, &u->lines, address);
    function = find_range(&u->ranges, address);
    if (!function ||
        !dwarf_offdie(dwarf_cu_getdwarf(u->die.cu), u->functions[function->at], &die)) {
        out[0] = place; /* a line without a function: assembler */
        return place.line ? 1 : 0;
    }
    find_chain(&die, address, &c);
    for (uint32_t i = c.len; i > 0 && len < SYMBOLS_LINES_MAX; i--) {
        out[len] = place;
        set_name(&out[len], &c.die[i - 1]);
        out[len++].start_line = number(&c.die[i - 1], DW_AT_decl_line, true);
        /* where the next one outwards is */
        place.line = number(&c.die[i - 1], DW_AT_call_line, false);
        place.file = file_of(&u->lines, number(&c.die[i - 1], DW_AT_call_file, false));
    }
    return len;
}

/* ---- life ---- */

static uint64_t debug_bytes(Elf *e)
{
    Elf_Scn *scn = NULL;
    GElf_Shdr h;
    uint64_t sum = 0;
    size_t strings;
    const char *name;

    if (elf_getshdrstrndx(e, &strings) != 0)
        return 0;
    while ((scn = elf_nextscn(e, scn)) != NULL) {
        if (gelf_getshdr(scn, &h) && (name = elf_strptr(e, strings, h.sh_name)) != NULL &&
            (strncmp(name, ".debug_", 7) == 0 || strncmp(name, ".zdebug_", 8) == 0))
            sum += h.sh_size > DEBUG_MAX_BYTES ? DEBUG_MAX_BYTES : h.sh_size;
    }
    return sum;
}

/* libdw reads a text up to its NUL without looking where the section ends: whatever holds texts has to end in one,
 * as all that compilers and linkers write does.  (Line tables it reads with care.)  Called when libdw has unpacked the sections. */
static bool texts_end(Elf *e)
{
    static const char *const holders[] = { ".debug_info",  ".debug_str",      ".debug_line_str",
                                           ".debug_types", ".debug_info.dwo", ".debug_str.dwo",
                                           ".zdebug_info", ".zdebug_str",     ".zdebug_types" };
    Elf_Scn *scn = NULL;
    GElf_Shdr h;
    size_t strings;
    const char *name;
    Elf_Data *d;

    if (elf_getshdrstrndx(e, &strings) != 0)
        return false;
    while ((scn = elf_nextscn(e, scn)) != NULL) {
        if (!gelf_getshdr(scn, &h) || (name = elf_strptr(e, strings, h.sh_name)) == NULL)
            return false;
        for (size_t i = 0; i < sizeof(holders) / sizeof(holders[0]); i++) {
            if (strcmp(name, holders[i]) != 0 || h.sh_type == SHT_NOBITS)
                continue;
            d = elf_getdata(scn, NULL);
            if (d && d->d_size && ((const char *)d->d_buf)[d->d_size - 1] != '\0')
                return false;
        }
    }
    return true;
}

/* By build-id, or by the name the link has, as Debian does it: /usr/lib/debug/.dwz/... */
static int find_alternative(const char *root, const char *debug_dir, const char *name,
                            const elf_identity *id)
{
    char path[4096], hex[SYMBOLS_BUILD_ID_MAX * 2 + 1] = { 0 };
    elf_identity got;
    int fd;

    sonde_hex_bytes(id->build_id, id->build_id_len, hex);
    (void)snprintf(path, sizeof(path), "%s/.build-id/%.2s/%s.debug", debug_dir, hex, hex + 2);
    fd = symbols_open_under(root, path);
    if (fd < 0 && name[0] == '/')
        fd = symbols_open_under(root, name);
    if (fd >= 0 &&
        (elf_read_identity(fd, &got) != SONDE_OK || got.build_id_len != id->build_id_len ||
         memcmp(got.build_id, id->build_id, id->build_id_len) != 0)) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* What dwz took out of several files into one: found by its build-id. */
static void open_alternative(dwarf_reader *r, const char *root, const char *debug_dir)
{
    const char *name;
    const void *id;
    ssize_t len = dwelf_dwarf_gnu_debugaltlink(r->dwarf, &name, &id);
    elf_identity want = { .build_id_len = len > 0 ? (size_t)len : 0 };

    if (len < 2 || len > SYMBOLS_BUILD_ID_MAX)
        return;
    memcpy(want.build_id, id, want.build_id_len);
    r->alt_fd = root ? find_alternative(root, debug_dir, name, &want) : -1;
    if (r->alt_fd < 0)
        r->alt_fd = find_alternative(NULL, debug_dir, name, &want);
    if (r->alt_fd < 0)
        return;
    r->alt_elf = elf_begin(r->alt_fd, ELF_C_READ, NULL);
    r->alt = r->alt_elf ? dwarf_begin_elf(r->alt_elf, DWARF_C_READ, NULL) : NULL;
    if (r->alt && texts_end(r->alt_elf)) {
        r->section_bytes += debug_bytes(r->alt_elf);
        dwarf_setalt(r->dwarf, r->alt);
    }
}

/* In place of the file: its debug information, unpacked, where libdw cannot do that. */
static sonde_status use_unpacked(dwarf_reader *r, size_t max_bytes)
{
    int fd = -1;
    sonde_status status;

    if (!r->elf || elf_kind(r->elf) != ELF_K_ELF || !elf_has_zstd(r->elf))
        return SONDE_OK;
    status = elf_unpack_zstd(r->elf, max_bytes / 2, &fd); /* it is in memory twice */
    if (status != SONDE_OK)
        return status;
    (void)elf_end(r->elf);
    (void)close(r->fd);
    r->fd = fd;
    r->elf = elf_begin(fd, ELF_C_READ, NULL);
    return SONDE_OK;
}

sonde_status dwarf_reader_open(int fd, const char *root, const char *debug_dir, size_t max_bytes,
                               dwarf_reader **out_reader)
{
    dwarf_reader *r = sonde_calloc(1, sizeof(*r));
    sonde_status status;

    if (!r) {
        (void)close(fd);
        return SONDE_ERR_NOMEM;
    }
    r->fd = fd;
    r->alt_fd = -1;
    (void)elf_version(EV_CURRENT);
    r->elf = elf_begin(fd, ELF_C_READ, NULL);
    status = use_unpacked(r, max_bytes);
    if (status != SONDE_OK) {
        dwarf_reader_close(r);
        return status;
    }
    r->section_bytes = r->elf && elf_kind(r->elf) == ELF_K_ELF ? debug_bytes(r->elf) : 0;
    if (r->section_bytes > 0 && r->section_bytes <= max_bytes)
        r->dwarf = dwarf_begin_elf(r->elf, DWARF_C_READ, NULL);
    if (!r->dwarf || !texts_end(r->elf)) {
        bool is_big = r->section_bytes > max_bytes;

        dwarf_reader_close(r);
        return is_big ? SONDE_ERR_TOO_BIG : SONDE_ERR_SYNTAX;
    }
    open_alternative(r, root, debug_dir);
    find_units(r);
    r->own_bytes += r->units_cap * sizeof(unit) + r->ranges.cap * sizeof(range);
    *out_reader = r;
    return SONDE_OK;
}

size_t dwarf_reader_bytes(const dwarf_reader *r)
{
    return (size_t)r->section_bytes + r->own_bytes;
}

void dwarf_reader_close(dwarf_reader *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->units_len; i++) {
        sonde_free(r->units[i].functions);
        sonde_free(r->units[i].ranges.items);
    }
    sonde_free(r->units);
    sonde_free(r->ranges.items);
    (void)dwarf_end(r->dwarf);
    (void)dwarf_end(r->alt);
    (void)elf_end(r->elf);
    (void)elf_end(r->alt_elf);
    if (r->alt_fd >= 0)
        (void)close(r->alt_fd);
    (void)close(r->fd);
    sonde_free(r);
}
