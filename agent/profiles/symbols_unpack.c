/* symbols_unpack.c - debug information packed with zstd, which libelf before 0.189 does not unpack: a file in memory that
 * has nothing but it, unpacked.
 *
 * Bounds   the bytes given, of all sections together; SECTIONS_MAX of them. */
#include <gelf.h>
#include <libelf.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "codec/compress/compress.h"
#include "symbols_internal.h"

#define SECTIONS_MAX 64u
#define ZSTD         2u /* ELFCOMPRESS_ZSTD */

typedef struct unpacker {
    Elf *from, *to;
    sonde_buf names;                  /* the new file's section names */
    sonde_buf unpacked[SECTIONS_MAX]; /* owned until the new file is written */
    size_t unpacked_len;
    size_t room; /* bytes left */
} unpacker;

static bool is_debug(const char *name)
{
    return strncmp(name, ".debug_", 7) == 0 || strcmp(name, ".gnu_debugaltlink") == 0;
}

/* Packed with zstd: what is behind the head, and how long it becomes. */
static bool is_zstd(Elf_Scn *scn, const GElf_Shdr *h, sonde_str *out_packed, uint64_t *out_size)
{
    Elf_Data *raw = h->sh_flags & SHF_COMPRESSED ? elf_rawdata(scn, NULL) : NULL;
    Elf64_Chdr head;

    if (!raw || !raw->d_buf || raw->d_size < sizeof(head))
        return false;
    memcpy(&head, raw->d_buf, sizeof(head));
    *out_packed =
        (sonde_str){ (const char *)raw->d_buf + sizeof(head), raw->d_size - sizeof(head) };
    *out_size = head.ch_size;
    return head.ch_type == ZSTD;
}

static sonde_status unpack(unpacker *u, sonde_str packed, uint64_t size, sonde_str *out)
{
    sonde_buf *b = &u->unpacked[u->unpacked_len];
    sonde_status status;

    if (u->unpacked_len == SECTIONS_MAX || size > u->room)
        return SONDE_ERR_TOO_BIG;
    u->unpacked_len++;
    sonde_buf_init(b, (size_t)size);
    status = sonde_decompress(SONDE_ENCODING_ZSTD, packed, b);
    if (status == SONDE_OK && b->len != size)
        status = SONDE_ERR_SYNTAX;
    *out = sonde_buf_str(b);
    return status;
}

static GElf_Word add_name(unpacker *u, const char *name)
{
    size_t at = u->names.len;

    sonde_buf_append_str(&u->names, sonde_str_from(name));
    sonde_buf_append_byte(&u->names, 0);
    return (GElf_Word)at;
}

static sonde_status add_section(unpacker *u, GElf_Word name, sonde_str data, GElf_Word type,
                                size_t *out_index)
{
    Elf_Scn *scn = elf_newscn(u->to);
    Elf_Data *d = scn ? elf_newdata(scn) : NULL;
    GElf_Shdr h;

    if (!d || !gelf_getshdr(scn, &h))
        return SONDE_ERR_NOMEM;
    d->d_buf = (void *)(uintptr_t)data.ptr;
    d->d_size = data.len;
    d->d_type = ELF_T_BYTE;
    d->d_align = 1;
    d->d_version = EV_CURRENT;
    h.sh_name = name;
    h.sh_type = type;
    *out_index = elf_ndxscn(scn);
    return gelf_update_shdr(scn, &h) ? SONDE_OK : SONDE_ERR_NOMEM;
}

/* What is packed otherwise is left out. */
static sonde_status add_debug(unpacker *u, Elf_Scn *scn, const GElf_Shdr *h, const char *name)
{
    sonde_str packed, data = { NULL, 0 };
    sonde_status status = SONDE_OK;
    uint64_t size;
    size_t index;
    Elf_Data *d;

    if (is_zstd(scn, h, &packed, &size)) {
        status = unpack(u, packed, size, &data);
    } else if (!(h->sh_flags & SHF_COMPRESSED) && h->sh_type != SHT_NOBITS) {
        if (h->sh_size > u->room)
            return SONDE_ERR_TOO_BIG;
        d = elf_getdata(scn, NULL);
        data = d ? (sonde_str){ (const char *)d->d_buf, d->d_size } : data;
    }
    if (status != SONDE_OK || data.len == 0)
        return status;
    if (data.len > u->room)
        return SONDE_ERR_TOO_BIG;
    u->room -= data.len;
    return add_section(u, add_name(u, name), data, SHT_PROGBITS, &index);
}

static const char *name_of(Elf *e, const GElf_Shdr *h)
{
    size_t strings;
    const char *name =
        elf_getshdrstrndx(e, &strings) == 0 ? elf_strptr(e, strings, h->sh_name) : NULL;

    return name ? name : "";
}

static sonde_status fill(unpacker *u, const GElf_Ehdr *of)
{
    GElf_Ehdr head;
    Elf_Scn *scn = NULL;
    GElf_Shdr h;
    GElf_Word name;
    sonde_status status = SONDE_OK;
    unsigned sections = 0;
    size_t index;

    if (!gelf_newehdr(u->to, ELFCLASS64) || !gelf_getehdr(u->to, &head))
        return SONDE_ERR_NOMEM;
    head.e_ident[EI_DATA] = ELFDATA2LSB;
    head.e_type = ET_DYN;
    head.e_machine = of->e_machine;
    head.e_version = EV_CURRENT;
    sonde_buf_append_byte(&u->names, 0);
    while (status == SONDE_OK && (scn = elf_nextscn(u->from, scn)) != NULL) {
        if (gelf_getshdr(scn, &h) && is_debug(name_of(u->from, &h)))
            status = sections++ < SECTIONS_MAX ? add_debug(u, scn, &h, name_of(u->from, &h))
                                               : SONDE_ERR_TOO_BIG;
    }
    name = add_name(u, ".shstrtab");
    if (status == SONDE_OK)
        status = u->names.status;
    if (status == SONDE_OK)
        status = add_section(u, name, sonde_buf_str(&u->names), SHT_STRTAB, &index);
    if (status != SONDE_OK)
        return status;
    head.e_shstrndx = (GElf_Half)index;
    return gelf_update_ehdr(u->to, &head) && elf_update(u->to, ELF_C_WRITE) > 0 ? SONDE_OK
                                                                                : SONDE_ERR_NOMEM;
}

bool elf_has_zstd(Elf *e)
{
    Elf_Scn *scn = NULL;
    GElf_Ehdr head;
    GElf_Shdr h;
    sonde_str packed;
    uint64_t size;

    if (!gelf_getehdr(e, &head) || head.e_ident[EI_CLASS] != ELFCLASS64 ||
        head.e_ident[EI_DATA] != ELFDATA2LSB)
        return false;
    while ((scn = elf_nextscn(e, scn)) != NULL)
        if (gelf_getshdr(scn, &h) && is_debug(name_of(e, &h)) && is_zstd(scn, &h, &packed, &size))
            return true;
    return false;
}

sonde_status elf_unpack_zstd(Elf *e, size_t max_bytes, int *out_fd)
{
    unpacker u = { .from = e, .room = max_bytes };
    int fd = memfd_create("debug", MFD_CLOEXEC);
    sonde_status status = SONDE_ERR_NOMEM;
    GElf_Ehdr head;

    sonde_buf_init(&u.names, SECTIONS_MAX * 64);
    u.to = fd >= 0 ? elf_begin(fd, ELF_C_WRITE, NULL) : NULL;
    if (u.to && gelf_getehdr(e, &head))
        status = fill(&u, &head);
    (void)elf_end(u.to);
    for (size_t i = 0; i < u.unpacked_len; i++)
        sonde_buf_done(&u.unpacked[i]);
    sonde_buf_done(&u.names);
    if (status != SONDE_OK && fd >= 0)
        (void)close(fd);
    else if (status == SONDE_OK)
        *out_fd = fd;
    return status;
}
