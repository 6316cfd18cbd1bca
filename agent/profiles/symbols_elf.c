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

#include "codec/compress/compress.h"
#include "symbols_internal.h"

#define SECTION_MAX_BYTES                                                                          \
    (UINT64_C(1) * 1024 * 1024) /* but for symbols and what has to do with them */
#define SECTIONS_MAX 65536u

#define READ_FACTOR          4 /* a section, unpacked, and the index made of it */
#define SYMBOL_STUB_NAME_MAX 1024

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
static Elf_Data *section_up_to(Elf_Scn *scn, const GElf_Shdr *h, uint64_t max_bytes)
{
    if (h->sh_type == SHT_NOBITS || h->sh_size == 0 || h->sh_size > max_bytes)
        return NULL;
    return elf_getdata(scn, NULL);
}

static Elf_Data *section_data(Elf_Scn *scn, const GElf_Shdr *h)
{
    return section_up_to(scn, h, SECTION_MAX_BYTES);
}

/* Of symbols: most of what a table holds is not kept, so it may be larger than the index. */
static Elf_Data *symbol_data(Elf_Scn *scn, const GElf_Shdr *h, symbol_index *x)
{
    uint64_t max_bytes = (uint64_t)x->max_bytes * READ_FACTOR;

    if (h->sh_type != SHT_NOBITS && h->sh_size > max_bytes)
        x->cut = true;
    return section_up_to(scn, h, max_bytes);
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

bool elf_is_whole(int fd)
{
    Elf *e = begin(fd);
    Elf_Scn *scn = NULL;
    struct stat st;
    GElf_Shdr h;
    bool is_whole = false;

    if (e && fstat(fd, &st) == 0) {
        while ((scn = next_section(e, scn, &h)) != NULL) {
            is_whole = h.sh_type == SHT_NOBITS || (h.sh_offset <= (uint64_t)st.st_size &&
                                                   h.sh_size <= (uint64_t)st.st_size - h.sh_offset);
            if (!is_whole)
                break;
        }
    }
    (void)elf_end(e);
    return is_whole;
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

/* Variables: what a lock is called. */
static bool names_data(const GElf_Sym *s)
{
    return GELF_ST_TYPE(s->st_info) == STT_OBJECT && s->st_shndx != SHN_UNDEF && s->st_value != 0 &&
           s->st_size > 0;
}

/* Labels without a type count only in code: elsewhere they name data.  That counts where it is written to. */
static bool is_in_its_place(Elf *e, const GElf_Sym *s)
{
    int type = GELF_ST_TYPE(s->st_info);
    GElf_Shdr h;
    Elf_Scn *scn;

    if (type != STT_NOTYPE && type != STT_OBJECT)
        return true;
    scn = s->st_shndx < SHN_LORESERVE ? elf_getscn(e, s->st_shndx) : NULL;
    return scn && gelf_getshdr(scn, &h) &&
           (h.sh_flags & (type == STT_OBJECT ? SHF_WRITE : SHF_EXECINSTR));
}

/* "write@@GLIBC_2.2.5" */
static sonde_str without_version(const char *name)
{
    const char *at = name[0] ? strchr(name + 1, '@') : NULL;

    return (sonde_str){ name, at ? (size_t)(at - name) : strlen(name) };
}

static sonde_status read_table(Elf *e, Elf_Scn *scn, const GElf_Shdr *h, symbol_index *x)
{
    Elf_Data *d = symbol_data(scn, h, x);
    Elf_Scn *names = elf_getscn(e, h->sh_link); /* elf_strptr() reads all of it */
    sonde_status status = SONDE_OK;
    size_t count = d && h->sh_entsize ? h->sh_size / h->sh_entsize : 0;
    GElf_Shdr names_head;
    GElf_Sym s;

    if (!names || !gelf_getshdr(names, &names_head) || !symbol_data(names, &names_head, x))
        return SONDE_OK;

    for (size_t i = 0; i < count && i < SYMBOL_INDEX_MAX && status == SONDE_OK; i++) {
        const char *name;

        if (!gelf_getsym(d, (int)i, &s))
            break;
        if (!(names_code(&s) || names_data(&s)) || !is_in_its_place(e, &s))
            continue;
        name = elf_strptr(e, h->sh_link, s.st_name);
        if (name)
            status = symbol_index_add(x, without_version(name), s.st_value, s.st_size, rank_of(&s),
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

/* ---- stubs of other objects' functions ---- */

typedef struct plt {
    uint64_t first; /* address of the stub of relocation 0 */
    uint64_t size;  /* of one */
    uint64_t end;
} plt;

static bool find_plt(Elf *e, plt *out)
{
    GElf_Ehdr head;
    GElf_Shdr h;
    uint64_t skip = 0; /* what stands before the first stub */

    if (!gelf_getehdr(e, &head) || (head.e_machine != EM_X86_64 && head.e_machine != EM_AARCH64))
        return false;
    if (!find_section(e, ".plt.sec", &h)) {
        if (!find_section(e, ".plt", &h))
            return false;
        skip = head.e_machine == EM_AARCH64 ? 32 : 16;
    }
    *out = (plt){ h.sh_addr + skip, 16, h.sh_addr + h.sh_size };
    return h.sh_size > skip;
}

static sonde_status add_stub(symbol_index *x, const char *function, uint64_t address, uint64_t size)
{
    char name[SYMBOL_STUB_NAME_MAX];

    (void)snprintf(name, sizeof(name), "%.*s@plt", (int)sizeof(name) - 5, function);
    return symbol_index_add(x, sonde_str_from(name), address, size, SYMBOL_GLOBAL, true);
}

/* Stubs stand in the order of their relocations. */
static sonde_status read_plt(Elf *e, symbol_index *x, bool *out_found)
{
    GElf_Shdr h, table;
    Elf_Scn *scn = find_section(e, ".rela.plt", &h), *linked;
    Elf_Data *relocations = scn ? symbol_data(scn, &h, x) : NULL, *d;
    sonde_status status = SONDE_OK;
    plt at;

    *out_found = false;
    if (!relocations || h.sh_type != SHT_RELA || !find_plt(e, &at))
        return SONDE_OK;
    linked = elf_getscn(e, h.sh_link);
    d = linked && gelf_getshdr(linked, &table) ? symbol_data(linked, &table, x) : NULL;
    for (int i = 0; d && status == SONDE_OK && at.first + at.size <= at.end; i++) {
        GElf_Rela r;
        GElf_Sym s;
        const char *name;

        if (!gelf_getrela(relocations, i, &r))
            break;
        if (gelf_getsym(d, (int)GELF_R_SYM(r.r_info), &s) &&
            (name = elf_strptr(e, table.sh_link, s.st_name)) != NULL && name[0]) {
            status = add_stub(x, name, at.first, at.size);
            *out_found = true;
        }
        at.first += at.size;
    }
    return status;
}

/* ---- the symbols of a file ---- */

static sonde_status read_sources(Elf *e, unsigned sources, symbol_index *x, unsigned *found);

/* An ELF file with nothing but symbols, compressed, in a section of another. */
static sonde_status read_debugdata(Elf *e, symbol_index *x, bool *out_found)
{
    GElf_Shdr h;
    Elf_Scn *scn = find_section(e, ".gnu_debugdata", &h);
    Elf_Data *d = scn ? symbol_data(scn, &h, x) : NULL;
    sonde_status status = SONDE_OK;
    unsigned found = 0;
    sonde_buf plain;
    Elf *inner;

    *out_found = false;
    if (!d || !d->d_buf)
        return SONDE_OK;
    sonde_buf_init(&plain, x->max_bytes * READ_FACTOR);
    if (sonde_xz_decompress((sonde_str){ d->d_buf, d->d_size }, &plain) == SONDE_OK &&
        (inner = elf_memory((char *)plain.data, plain.len)) != NULL) {
        if (elf_kind(inner) == ELF_K_ELF)
            status = read_sources(inner, ELF_SYMTAB, x, &found);
        (void)elf_end(inner);
    }
    sonde_buf_done(&plain);
    *out_found = found != 0;
    return status;
}

static sonde_status read_sources(Elf *e, unsigned sources, symbol_index *x, unsigned *found)
{
    sonde_status status = SONDE_OK;
    bool any;

    for (unsigned one = ELF_SYMTAB; one <= ELF_DEBUGDATA && status == SONDE_OK; one <<= 1) {
        any = false;
        if (!(sources & one))
            continue;
        if (one == ELF_PLT)
            status = read_plt(e, x, &any);
        else if (one == ELF_DEBUGDATA)
            status = read_debugdata(e, x, &any);
        else
            status = read_tables(e, one == ELF_SYMTAB ? SHT_SYMTAB : SHT_DYNSYM, x, &any);
        *found |= any ? one : 0;
    }
    return status;
}

sonde_status elf_read_symbols(int fd, unsigned sources, symbol_index *x, unsigned *found)
{
    Elf *e = begin(fd);
    sonde_status status;

    if (!e)
        return SONDE_ERR_SYNTAX;
    status = read_sources(e, sources, x, found);
    (void)elf_end(e);
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
