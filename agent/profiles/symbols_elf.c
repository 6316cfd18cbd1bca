/* symbols_elf.c - what an ELF file says about itself: its build-id, its symbols, where its debug file is.
 *
 * Files belong to whoever runs the process: nothing in them is trusted.  They are read, not mapped, so that
 * one that is cut while we are at it is an error and not a signal.
 */
#include <gelf.h>
#include <libelf.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "symbols_internal.h"

#define SECTION_MAX_BYTES (UINT64_C(1) * 1024 * 1024 * 1024)
#define SECTIONS_MAX      65536u

static Elf *begin(int fd)
{
    struct stat st;
    Elf *e;

    if (elf_version(EV_CURRENT) == EV_NONE || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        (uint64_t)st.st_size > ELF_FILE_MAX_BYTES)
        return NULL;
    e = elf_begin(fd, ELF_C_READ, NULL);
    if (e && elf_kind(e) != ELF_K_ELF) {
        (void)elf_end(e);
        return NULL;
    }
    return e;
}

/* The bytes of a section, not those of one that has none in the file. */
static Elf_Data *section_data(Elf_Scn *scn, const GElf_Shdr *h)
{
    if (h->sh_type == SHT_NOBITS || h->sh_size == 0 || h->sh_size > SECTION_MAX_BYTES)
        return NULL;
    return elf_getdata(scn, NULL);
}

static Elf_Scn *next_section(Elf *e, Elf_Scn *scn, GElf_Shdr *out)
{
    scn = elf_nextscn(e, scn);
    while (scn && !gelf_getshdr(scn, out))
        scn = elf_nextscn(e, scn);
    return scn;
}

static const char *section_name(Elf *e, const GElf_Shdr *h)
{
    size_t strings;
    const char *name;

    if (elf_getshdrstrndx(e, &strings) != 0)
        return "";
    name = elf_strptr(e, strings, h->sh_name);
    return name ? name : "";
}

static Elf_Scn *find_section(Elf *e, const char *name, GElf_Shdr *out)
{
    Elf_Scn *scn = NULL;

    while ((scn = next_section(e, scn, out)) != NULL) {
        if (strcmp(section_name(e, out), name) == 0)
            return scn;
    }
    return NULL;
}

/* ---- build-id ---- */

static bool read_note(Elf_Data *d, elf_identity *out)
{
    size_t at = 0, next, name_at, desc_at;
    GElf_Nhdr n;

    while ((next = gelf_getnote(d, at, &n, &name_at, &desc_at)) > 0) {
        const char *name = (const char *)d->d_buf + name_at;

        if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && memcmp(name, "GNU", 4) == 0 &&
            n.n_descsz > 0) {
            out->build_id_len =
                n.n_descsz < SYMBOLS_BUILD_ID_MAX ? n.n_descsz : SYMBOLS_BUILD_ID_MAX;
            memcpy(out->build_id, (const char *)d->d_buf + desc_at, out->build_id_len);
            return true;
        }
        at = next;
    }
    return false;
}

static bool read_note_sections(Elf *e, elf_identity *out)
{
    Elf_Scn *scn = NULL;
    GElf_Shdr h;
    Elf_Data *d;

    while ((scn = next_section(e, scn, &h)) != NULL) {
        if (h.sh_type == SHT_NOTE && (d = section_data(scn, &h)) != NULL && read_note(d, out))
            return true;
    }
    return false;
}

static void read_note_segments(Elf *e, elf_identity *out)
{
    size_t count;
    GElf_Phdr p;
    Elf_Data *d;

    if (elf_getphdrnum(e, &count) != 0)
        return;
    for (size_t i = 0; i < count && i < SECTIONS_MAX; i++) {
        if (!gelf_getphdr(e, (int)i, &p) || p.p_type != PT_NOTE || p.p_filesz == 0 ||
            p.p_filesz > SECTION_MAX_BYTES)
            continue;
        d = elf_getdata_rawchunk(e, (int64_t)p.p_offset, p.p_filesz,
                                 p.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
        if (d && read_note(d, out))
            return;
    }
}

sonde_status elf_read_identity(int fd, elf_identity *out)
{
    Elf *e = begin(fd);

    if (!e)
        return SONDE_ERR_SYNTAX;
    *out = (elf_identity){ .build_id_len = 0 };
    if (!read_note_sections(e, out))
        read_note_segments(e, out);
    (void)elf_end(e);
    return SONDE_OK;
}

/* ---- symbols ---- */

static symbol_rank rank_of(const GElf_Sym *s)
{
    switch (GELF_ST_BIND(s->st_info)) {
    case STB_LOCAL:
        return SYMBOL_LOCAL;
    case STB_WEAK:
        return SYMBOL_WEAK;
    default:
        return SYMBOL_GLOBAL;
    }
}

/* Names code: functions, and labels without a type as assembler files have them. */
static bool names_code(const GElf_Sym *s)
{
    int type = GELF_ST_TYPE(s->st_info);

    return s->st_shndx != SHN_UNDEF && s->st_shndx != SHN_ABS && s->st_value != 0 &&
           (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

/* Labels without a type count only in code: elsewhere they name data. */
static bool is_in_code(Elf *e, const GElf_Sym *s)
{
    GElf_Shdr h;
    Elf_Scn *scn;

    if (GELF_ST_TYPE(s->st_info) != STT_NOTYPE)
        return true;
    scn = s->st_shndx < SHN_LORESERVE ? elf_getscn(e, s->st_shndx) : NULL;
    return scn && gelf_getshdr(scn, &h) && (h.sh_flags & SHF_EXECINSTR);
}

static sonde_status read_table(Elf *e, Elf_Scn *scn, const GElf_Shdr *h, symbol_index *x)
{
    Elf_Data *d = section_data(scn, h);
    sonde_status status = SONDE_OK;
    size_t count = d && h->sh_entsize ? h->sh_size / h->sh_entsize : 0;
    GElf_Sym s;

    for (size_t i = 0; i < count && i < SYMBOL_INDEX_MAX && status == SONDE_OK; i++) {
        const char *name;

        if (!gelf_getsym(d, (int)i, &s))
            break;
        if (!names_code(&s) || !is_in_code(e, &s))
            continue;
        name = elf_strptr(e, h->sh_link, s.st_name);
        if (name)
            status = symbol_index_add(x, sonde_str_from(name), s.st_value, s.st_size, rank_of(&s),
                                      GELF_ST_TYPE(s.st_info) != STT_NOTYPE);
    }
    return status;
}

static sonde_status read_tables(Elf *e, GElf_Word type, symbol_index *x, bool *out_found)
{
    Elf_Scn *scn = NULL;
    GElf_Shdr h;
    sonde_status status = SONDE_OK;
    uint32_t before = x->len;

    while (status == SONDE_OK && (scn = next_section(e, scn, &h)) != NULL) {
        if (h.sh_type == type)
            status = read_table(e, scn, &h, x);
    }
    *out_found = x->len > before;
    return status;
}

sonde_status elf_read_symbols(int fd, unsigned sources, symbol_index *x, unsigned *out_found)
{
    Elf *e = begin(fd);
    sonde_status status = SONDE_OK;
    unsigned found = 0;
    bool any;

    if (!e)
        return SONDE_ERR_SYNTAX;
    if (sources & ELF_SYMTAB) {
        status = read_tables(e, SHT_SYMTAB, x, &any);
        found |= any ? ELF_SYMTAB : 0;
    }
    if (status == SONDE_OK && (sources & ELF_DYNSYM)) {
        status = read_tables(e, SHT_DYNSYM, x, &any);
        found |= any ? ELF_DYNSYM : 0;
    }
    (void)elf_end(e);
    *out_found = found;
    return status;
}

/* ---- debuglink ---- */

sonde_status elf_read_debuglink(int fd, elf_debuglink *out)
{
    Elf *e = begin(fd);
    GElf_Shdr h;
    Elf_Scn *scn;
    Elf_Data *d;
    const char *end;
    size_t len, crc_at;

    if (!e)
        return SONDE_ERR_SYNTAX;
    *out = (elf_debuglink){ .crc = 0 };
    scn = find_section(e, ".gnu_debuglink", &h);
    d = scn ? section_data(scn, &h) : NULL;
    end = d && d->d_buf ? memchr(d->d_buf, '\0', d->d_size) : NULL;
    if (end) {
        len = (size_t)(end - (const char *)d->d_buf);
        crc_at = (len + 1 + 3) & ~(size_t)3;
        if (len > 0 && len <= ELF_LINK_NAME_MAX && crc_at + 4 <= d->d_size) {
            memcpy(out->name, d->d_buf, len);
            memcpy(&out->crc, (const char *)d->d_buf + crc_at, 4); /* of this machine's order */
        }
    }
    (void)elf_end(e);
    return SONDE_OK;
}
