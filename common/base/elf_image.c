/* elf_image.c - every read goes through sonde_elf_bytes(), which knows the segments. */
#include "base/elf_image.h"

#include <string.h>
#include <unistd.h>

#define VERSION_HIDDEN 0x8000u

#if defined(__x86_64__)
enum { JUMP_SLOT = R_X86_64_JUMP_SLOT, GLOB_DAT = R_X86_64_GLOB_DAT, ABSOLUTE = R_X86_64_64 };
#else
enum { JUMP_SLOT = R_AARCH64_JUMP_SLOT, GLOB_DAT = R_AARCH64_GLOB_DAT, ABSOLUTE = R_AARCH64_ABS64 };
#endif

/* -- reading ---------------------------------------------------------------------------------------- */

const void *sonde_elf_bytes(const sonde_elf_image *e, uint64_t address, uint64_t len)
{
    uint32_t i;

    if (address < e->lo || address > e->hi || len > e->hi - address)
        return NULL;
    for (i = 0; i < e->segments_len; i++)
        if (address >= e->segments[i].lo && address <= e->segments[i].hi &&
            len <= e->segments[i].hi - address)
            return e->bytes + (address - e->lo);
    return NULL;
}

static bool read_at(const sonde_elf_image *e, uint64_t address, void *out, size_t len)
{
    const void *from = address ? sonde_elf_bytes(e, address, len) : NULL;

    if (from)
        memcpy(out, from, len);
    return from != NULL;
}

static uint32_t word_at(const sonde_elf_image *e, uint64_t address)
{
    uint32_t word = 0;

    (void)read_at(e, address, &word, sizeof(word));
    return word;
}

/* NULL: not a text that ends. */
static const char *text_at(const sonde_elf_image *e, uint32_t offset)
{
    uint64_t left = offset < e->strtab_bytes ? e->strtab_bytes - offset : 0;
    const char *text = left ? sonde_elf_bytes(e, e->strtab + offset, left) : NULL;

    return text && memchr(text, 0, left) ? text : NULL;
}

/* -- opening ---------------------------------------------------------------------------------------- */

static void take_segment(sonde_elf_image *e, const Elf64_Phdr *p)
{
    if (p->p_memsz == 0 || p->p_vaddr + p->p_memsz < p->p_vaddr || !(p->p_flags & PF_R) ||
        e->segments_len == SONDE_ELF_SEGMENTS_MAX)
        return;
    e->segments[e->segments_len++] = (sonde_elf_range){ p->p_vaddr, p->p_vaddr + p->p_memsz };
}

static uint64_t page_of(uint64_t address)
{
    return address & ~((uint64_t)sysconf(_SC_PAGESIZE) - 1);
}

/* The loader seals whole pages. */
static void take_relro(sonde_elf_image *e, const Elf64_Phdr *p)
{
    if (p->p_vaddr + p->p_memsz >= p->p_vaddr)
        e->relro = (sonde_elf_range){ page_of(p->p_vaddr), page_of(p->p_vaddr + p->p_memsz) };
}

static void take_tag(sonde_elf_image *e, const Elf64_Dyn *d)
{
    /* glibc's loader turns these into run-time addresses, where it stands. */
    uint64_t value = d->d_un.d_ptr, address = value;

    if (e->bias && value >= e->bias && value - e->bias >= e->lo && value - e->bias <= e->hi)
        address = value - e->bias;
    switch (d->d_tag) {
    case DT_SYMTAB:
        e->symtab = address;
        break;
    case DT_STRTAB:
        e->strtab = address;
        break;
    case DT_STRSZ:
        e->strtab_bytes = value;
        break;
    case DT_GNU_HASH:
        e->gnu_hash = address;
        break;
    case DT_HASH:
        e->hash = address;
        break;
    case DT_VERSYM:
        e->versym = address;
        break;
    case DT_RELA:
        e->rela[0] = address;
        break;
    case DT_RELASZ:
        e->rela_bytes[0] = value;
        break;
    case DT_JMPREL:
        e->rela[1] = address;
        break;
    case DT_PLTRELSZ:
        e->rela_bytes[1] = value;
        break;
    default:
        break;
    }
}

static bool read_dynamic(sonde_elf_image *e, uint64_t from, uint64_t bytes)
{
    Elf64_Dyn d;
    uint64_t i;

    for (i = 0; i < bytes / sizeof(d); i++) {
        if (!read_at(e, from + i * sizeof(d), &d, sizeof(d)) || d.d_tag == DT_NULL)
            break;
        take_tag(e, &d);
    }
    return e->symtab && e->strtab;
}

/* `e` has bytes, lo, hi and bias; the headers are copied one by one, for they may lie anywhere. */
static bool open_with(sonde_elf_image *e, const uint8_t *headers, size_t len)
{
    uint64_t dynamic = 0, dynamic_bytes = 0;
    Elf64_Phdr p;
    size_t i;

    for (i = 0; i < len; i++) {
        memcpy(&p, headers + i * sizeof(p), sizeof(p));
        if (p.p_type == PT_LOAD)
            take_segment(e, &p);
        else if (p.p_type == PT_GNU_RELRO)
            take_relro(e, &p);
        else if (p.p_type == PT_DYNAMIC)
            dynamic = p.p_vaddr, dynamic_bytes = p.p_memsz;
    }
    return dynamic && read_dynamic(e, dynamic, dynamic_bytes);
}

bool sonde_elf_open_loaded(sonde_elf_image *out, const Elf64_Phdr *headers, size_t len,
                           uint64_t bias)
{
    sonde_elf_image e = { .lo = UINT64_MAX, .bias = bias };
    size_t i;

    for (i = 0; i < len; i++) {
        if (headers[i].p_type != PT_LOAD)
            continue;
        if (headers[i].p_vaddr < e.lo)
            e.lo = headers[i].p_vaddr;
        if (headers[i].p_vaddr + headers[i].p_memsz > e.hi)
            e.hi = headers[i].p_vaddr + headers[i].p_memsz;
    }
    if (e.lo >= e.hi)
        return false;
    e.bytes = (const uint8_t *)(uintptr_t)(e.lo + bias);
    if (!open_with(&e, (const uint8_t *)headers, len))
        return false;
    *out = e;
    return true;
}

/* The first of its segments begins where the copy does. */
static bool find_lowest(const uint8_t *headers, size_t len, uint64_t *out)
{
    Elf64_Phdr p;
    size_t i;

    *out = UINT64_MAX;
    for (i = 0; i < len; i++) {
        memcpy(&p, headers + i * sizeof(p), sizeof(p));
        if (p.p_type == PT_LOAD && p.p_vaddr < *out)
            *out = page_of(p.p_vaddr);
    }
    return *out != UINT64_MAX;
}

bool sonde_elf_open_copy(sonde_elf_image *out, const uint8_t *bytes, size_t len, uint64_t base)
{
    sonde_elf_image e = { .bytes = bytes };
    Elf64_Ehdr head;

    if (len < sizeof(head))
        return false;
    memcpy(&head, bytes, sizeof(head));
    if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
        head.e_phentsize != sizeof(Elf64_Phdr) || head.e_phoff > len ||
        head.e_phnum > (len - head.e_phoff) / sizeof(Elf64_Phdr) ||
        !find_lowest(bytes + head.e_phoff, head.e_phnum, &e.lo) || e.lo > UINT64_MAX - len)
        return false;
    e.hi = e.lo + len;
    e.bias = base - e.lo;
    if (!open_with(&e, bytes + head.e_phoff, head.e_phnum))
        return false;
    *out = e;
    return true;
}

bool sonde_elf_covers(const sonde_elf_image *e, uint64_t address)
{
    return sonde_elf_bytes(e, address - e->bias, 1) != NULL;
}

/* -- symbols ---------------------------------------------------------------------------------------- */

static bool symbol_at(const sonde_elf_image *e, uint32_t index, Elf64_Sym *out)
{
    return index < SONDE_ELF_SYMBOLS_MAX &&
           read_at(e, e->symtab + index * sizeof(*out), out, sizeof(*out));
}

/* Not one that only programs linked long ago get. */
static bool is_default_version(const sonde_elf_image *e, uint32_t index)
{
    uint16_t version = 0;

    return !e->versym ||
           !read_at(e, e->versym + index * sizeof(version), &version, sizeof(version)) ||
           !(version & VERSION_HIDDEN);
}

/* Defined there, for others to see. */
static bool is_named(const sonde_elf_image *e, uint32_t index, const char *name)
{
    const char *its;
    Elf64_Sym s;

    if (!symbol_at(e, index, &s) || s.st_shndx == SHN_UNDEF ||
        ELF64_ST_BIND(s.st_info) == STB_LOCAL)
        return false;
    its = text_at(e, s.st_name);
    return its && strcmp(its, name) == 0 && is_default_version(e, index);
}

static uint32_t gnu_hash(const char *name)
{
    uint32_t h = 5381;

    while (*name)
        h = h * 33 + (unsigned char)*name++;
    return h;
}

static uint32_t by_gnu_hash(const sonde_elf_image *e, const char *name)
{
    uint32_t buckets = word_at(e, e->gnu_hash), first = word_at(e, e->gnu_hash + 4);
    uint64_t table = e->gnu_hash + 16 + (uint64_t)word_at(e, e->gnu_hash + 8) * 8;
    uint32_t hash = gnu_hash(name), index, link;

    index = buckets ? word_at(e, table + (uint64_t)(hash % buckets) * 4) : 0;
    if (index < first || index == 0)
        return 0;
    for (; index < SONDE_ELF_SYMBOLS_MAX; index++) {
        if (!read_at(e, table + (uint64_t)buckets * 4 + (uint64_t)(index - first) * 4, &link,
                     sizeof(link)))
            return 0;
        if ((link | 1) == (hash | 1) && is_named(e, index, name))
            return index;
        if (link & 1)
            return 0;
    }
    return 0;
}

/* One by one: only objects of long ago have no other table. */
static uint32_t by_looking(const sonde_elf_image *e, const char *name)
{
    uint32_t len = word_at(e, e->hash + 4), i;

    for (i = 1; i < len && i < SONDE_ELF_SYMBOLS_MAX; i++)
        if (is_named(e, i, name))
            return i;
    return 0;
}

/* The symbol's number; 0: there is none. */
static uint32_t find(const sonde_elf_image *e, const char *name)
{
    if (e->gnu_hash)
        return by_gnu_hash(e, name);
    return e->hash ? by_looking(e, name) : 0;
}

bool sonde_elf_defines(const sonde_elf_image *e, const char *name)
{
    return find(e, name) != 0;
}

uint64_t sonde_elf_function(const sonde_elf_image *e, const char *name)
{
    uint32_t index = find(e, name);
    Elf64_Sym s;

    if (index == 0 || !symbol_at(e, index, &s) || s.st_value == 0 ||
        ELF64_ST_TYPE(s.st_info) != STT_FUNC)
        return 0;
    return s.st_value + e->bias;
}

/* -- relocations ------------------------------------------------------------------------------------ */

static bool is_sealed(const sonde_elf_image *e, uint64_t address)
{
    return address >= e->relro.lo && address < e->relro.hi;
}

static bool read_slot(const sonde_elf_image *e, const Elf64_Rela *r, sonde_elf_slot *out)
{
    uint32_t type = (uint32_t)ELF64_R_TYPE(r->r_info);
    Elf64_Sym s;

    if ((type != JUMP_SLOT && type != GLOB_DAT && type != ABSOLUTE) ||
        (type == ABSOLUTE && r->r_addend != 0) || r->r_offset % sizeof(uint64_t) != 0 ||
        !sonde_elf_bytes(e, r->r_offset, sizeof(uint64_t)) ||
        !symbol_at(e, (uint32_t)ELF64_R_SYM(r->r_info), &s))
        return false;
    *out = (sonde_elf_slot){ .at = r->r_offset + e->bias,
                             .name = text_at(e, s.st_name),
                             .is_lazy = type == JUMP_SLOT,
                             .is_weak = ELF64_ST_BIND(s.st_info) == STB_WEAK,
                             .is_sealed = is_sealed(e, r->r_offset) };
    return out->name && *out->name;
}

void sonde_elf_each_slot(const sonde_elf_image *e,
                         void (*each)(void *user, const sonde_elf_slot *slot), void *user)
{
    sonde_elf_slot slot;
    Elf64_Rela r;
    uint32_t table;
    uint64_t i;

    for (table = 0; table < 2; table++)
        for (i = 0; i < e->rela_bytes[table] / sizeof(r) && i < SONDE_ELF_SYMBOLS_MAX; i++) {
            if (!read_at(e, e->rela[table] + i * sizeof(r), &r, sizeof(r)))
                break;
            if (read_slot(e, &r, &slot))
                each(user, &slot);
        }
}
