/* objects.c - the loader's list, then /proc/self/maps over it. */
#include "objects.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>

#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"

#define PAGE           4096u
#define NOTE_BUILD_ID  3u
#define NOTE_ALIGN(n)  (((n) + 3u) & ~(size_t)3)
#define PATH_MAX_BYTES 4096
#define READ_BYTES     65536u

/* -- the loader ------------------------------------------------------------------------------------- */

static int count_changes(struct dl_phdr_info *info, size_t size, void *user)
{
    uint64_t *out = user;

    if (size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof(info->dlpi_subs))
        *out = (uint64_t)info->dlpi_adds + (uint64_t)info->dlpi_subs * 3;
    return 1; /* the first says it */
}

uint64_t sonde_prof__objects_generation(void)
{
    uint64_t generation = 0;

    (void)dl_iterate_phdr(count_changes, &generation);
    return generation;
}

uint8_t sonde_prof__build_id(const uint8_t *notes, size_t len,
                             uint8_t out[SONDE_PROF__BUILD_ID_MAX])
{
    size_t at = 0;

    while (len - at >= 12) {
        uint32_t head[3];
        size_t name, content;

        memcpy(head, notes + at, sizeof(head));
        at += sizeof(head);
        name = NOTE_ALIGN((size_t)head[0]);
        content = NOTE_ALIGN((size_t)head[1]);
        if (name > len - at || content > len - at - name)
            return 0;
        if (head[2] == NOTE_BUILD_ID && head[0] == 4 && memcmp(notes + at, "GNU", 4) == 0 &&
            head[1] > 0 && head[1] <= SONDE_PROF__BUILD_ID_MAX) {
            memcpy(out, notes + at + name, head[1]);
            return (uint8_t)head[1];
        }
        at += name + content;
    }
    return 0;
}

static sonde_prof__found *add(sonde_prof__objects *o)
{
    sonde_prof__found *items = o->items;

    if (o->len == SONDE_PROF__OBJECTS_MAX) {
        o->cut = true;
        return NULL;
    }
    if (o->len == o->cap) {
        uint32_t cap = o->cap ? o->cap * 2 : 32;

        items = (sonde_prof__found *)sonde_realloc(items, cap * sizeof(*items));
        if (!items)
            return NULL;
        o->items = items;
        o->cap = cap;
    }
    memset(&items[o->len], 0, sizeof(*items));
    return &items[o->len++];
}

static void take_load(sonde_prof__found *f, const ElfW(Phdr) * p)
{
    uint64_t lo = f->bias + p->p_vaddr, hi = lo + p->p_memsz;

    if (f->segments_len < SONDE_PROF__SEGMENTS_MAX)
        f->segments[f->segments_len++] = (sonde_prof__range){ lo, hi };
    if (!(p->p_flags & PF_X))
        return;
    if (f->text.hi == 0 || lo < f->text.lo) {
        f->text.lo = lo;
        f->start = lo & ~(uint64_t)(PAGE - 1);
        f->file_offset = p->p_offset & ~(uint64_t)(PAGE - 1);
    }
    if (hi > f->text.hi)
        f->text.hi = hi;
}

static void take_segment(sonde_prof__found *f, const ElfW(Phdr) * p)
{
    uint64_t lo = f->bias + p->p_vaddr;

    if (p->p_type == PT_LOAD)
        take_load(f, p);
    else if (p->p_type == PT_GNU_EH_FRAME)
        f->hdr = (sonde_prof__range){ lo, lo + p->p_memsz };
    else if (p->p_type == PT_NOTE && f->build_id_len == 0)
        f->build_id_len =
            sonde_prof__build_id((const uint8_t *)(uintptr_t)lo, p->p_memsz, f->build_id);
}

typedef struct reading {
    sonde_prof__objects *out;
    bool first;
    bool no_memory;
} reading;

static char *path_of(const struct dl_phdr_info *info, bool is_main)
{
    char path[PATH_MAX_BYTES];
    ssize_t len;

    if (info->dlpi_name && info->dlpi_name[0])
        return sonde_strndup(info->dlpi_name, strnlen(info->dlpi_name, PATH_MAX_BYTES));
    len = is_main ? readlink("/proc/self/exe", path, sizeof(path)) : -1;
    return len > 0 ? sonde_strndup(path, (size_t)len) : NULL;
}

static int take_object(struct dl_phdr_info *info, size_t size, void *user)
{
    reading *r = user;
    sonde_prof__found *f = add(r->out);
    int i;

    (void)size;
    r->no_memory = !f && !r->out->cut;
    if (!f)
        return 1;
    f->bias = info->dlpi_addr;
    for (i = 0; i < info->dlpi_phnum; i++)
        take_segment(f, &info->dlpi_phdr[i]);
    if (f->text.hi == 0) {
        r->out->len--;
        return 0;
    }
    f->length = ((f->text.hi + PAGE - 1) & ~(uint64_t)(PAGE - 1)) - f->start;
    f->flags = f->hdr.hi > f->hdr.lo ? SONDE_PROF__OBJECT_EH_FRAME : 0;
    if (f->bias != 0 && f->bias == getauxval(AT_SYSINFO_EHDR)) {
        f->flags |= SONDE_PROF__OBJECT_VDSO;
        f->path = sonde_strndup("[vdso]", 6);
    } else {
        f->flags |= SONDE_PROF__OBJECT_EXEC | (r->first ? SONDE_PROF__OBJECT_MAIN : 0u);
        f->path = path_of(info, r->first);
    }
    r->first = false;
    return 0;
}

/* -- /proc/self/maps -------------------------------------------------------------------------------- */

typedef struct line {
    sonde_prof__range range;
    bool executable;
    uint64_t device;
    uint64_t inode;
    sonde_str path;
} line;

static bool take_hex(sonde_str *s, char end, uint64_t *out)
{
    sonde_str digits = sonde_str_cut(s, end);
    uint64_t v = 0;
    size_t i;

    if (digits.len == 0 || digits.len > 16)
        return false;
    for (i = 0; i < digits.len; i++) {
        char c = digits.ptr[i];
        unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                            : 16;

        if (d == 16)
            return false;
        v = v << 4 | d;
    }
    *out = v;
    return true;
}

static bool take_decimal(sonde_str *s, uint64_t *out)
{
    sonde_str digits = sonde_str_cut(s, ' ');
    uint64_t v = 0;
    size_t i;

    if (digits.len == 0 || digits.len > 19)
        return false;
    for (i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(digits.ptr[i] - '0');
    }
    *out = v;
    return true;
}

/* "lo-hi rwxp offset major:minor inode   path" */
static bool read_line(sonde_str text, line *out)
{
    uint64_t offset, major_, minor_;
    sonde_str rights;

    if (!take_hex(&text, '-', &out->range.lo) || !take_hex(&text, ' ', &out->range.hi))
        return false;
    rights = sonde_str_cut(&text, ' ');
    if (rights.len != 4 || !take_hex(&text, ' ', &offset) || !take_hex(&text, ':', &major_) ||
        !take_hex(&text, ' ', &minor_) || !take_decimal(&text, &out->inode))
        return false;
    out->executable = rights.ptr[2] == 'x';
    out->device = (uint64_t)makedev((unsigned)major_, (unsigned)minor_);
    out->path = sonde_str_trim(text);
    return out->range.lo < out->range.hi;
}

static sonde_prof__found *object_at(const sonde_prof__objects *o, const sonde_prof__range *r)
{
    uint32_t i;

    for (i = 0; i < o->len; i++)
        if (o->items[i].start < r->hi && r->lo < o->items[i].start + o->items[i].length)
            return &o->items[i];
    return NULL;
}

static void take_file(sonde_prof__found *f, const line *l)
{
    if (f->inode != 0 || l->inode == 0 || (f->flags & SONDE_PROF__OBJECT_ANON))
        return;
    f->device = l->device;
    f->inode = l->inode;
    if (sonde_str_ends(l->path, SONDE_STR(" (deleted)")))
        f->flags |= SONDE_PROF__OBJECT_DELETED;
}

/* Of a compiler that works while the program runs, or an object that was loaded without the loader. */
static bool take_memory(sonde_prof__objects *o, const line *l)
{
    bool is_file = l->inode != 0 && l->path.len > 0;
    sonde_prof__found *f;

    if (l->path.len > 0 && l->path.ptr[0] == '[' && !sonde_str_starts(l->path, SONDE_STR("[anon")))
        return true; /* [vsyscall], [stack] */
    f = add(o);
    if (!f)
        return o->cut;
    f->bias = 0;
    f->text = l->range;
    f->start = l->range.lo;
    f->length = l->range.hi - l->range.lo;
    f->flags = SONDE_PROF__OBJECT_ANON;
    if (is_file) {
        f->device = l->device;
        f->inode = l->inode;
    }
    if (l->path.len > 0 && l->path.ptr[0] == '/')
        f->path = sonde_strndup(l->path.ptr, l->path.len);
    return true;
}

sonde_status sonde_prof__objects_take_maps(sonde_prof__objects *o, sonde_str text)
{
    while (text.len > 0) {
        sonde_str one = sonde_str_cut(&text, '\n');
        sonde_prof__found *f;
        line l;

        if (!read_line(one, &l) || !l.executable)
            continue;
        f = object_at(o, &l.range);
        if (f)
            take_file(f, &l);
        else if (!take_memory(o, &l))
            return SONDE_ERR_NOMEM;
    }
    return SONDE_OK;
}

sonde_status sonde_prof__objects_maps_text(sonde_buf *to)
{
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : 1;

    while (n > 0) {
        uint8_t *room = sonde_buf_reserve(to, READ_BYTES);

        n = room ? read(fd, room, READ_BYTES) : 0;
        if (n > 0)
            sonde_buf_commit(to, (size_t)n);
    }
    if (fd >= 0)
        (void)close(fd);
    return to->status == SONDE_ERR_NOMEM ? SONDE_ERR_NOMEM : SONDE_OK;
}

/* The file of that name, if it still is the one that is mapped. */
static void look_at_file(sonde_prof__found *f)
{
    struct stat st;

    if (!f->path || !(f->flags & SONDE_PROF__OBJECT_EXEC) ||
        (f->flags & SONDE_PROF__OBJECT_DELETED))
        return;
    if (stat(f->path, &st) != 0 || (f->inode != 0 && (uint64_t)st.st_ino != f->inode)) {
        f->flags |= SONDE_PROF__OBJECT_DELETED;
        return;
    }
    f->device = (uint64_t)st.st_dev;
    f->inode = (uint64_t)st.st_ino;
    f->mtime_s = st.st_mtim.tv_sec > 0 ? (uint64_t)st.st_mtim.tv_sec : 0;
}

/* -- all of it -------------------------------------------------------------------------------------- */

sonde_status sonde_prof__objects_read(sonde_prof__objects *out)
{
    reading r = { out, true, false };
    sonde_status status = SONDE_OK;
    sonde_buf maps;
    uint32_t i;

    memset(out, 0, sizeof(*out));
    sonde_buf_init(&maps, SONDE_PROF__MAPS_TEXT_MAX);
    (void)dl_iterate_phdr(take_object, &r);
    if (r.no_memory)
        status = SONDE_ERR_NOMEM;
    if (status == SONDE_OK)
        status = sonde_prof__objects_maps_text(&maps);
    if (status == SONDE_OK)
        status = sonde_prof__objects_take_maps(out, sonde_buf_str(&maps));
    for (i = 0; i < out->len && status == SONDE_OK; i++)
        look_at_file(&out->items[i]);
    sonde_buf_done(&maps);
    if (status != SONDE_OK)
        sonde_prof__objects_done(out);
    return status;
}

void sonde_prof__objects_done(sonde_prof__objects *o)
{
    uint32_t i;

    for (i = 0; i < o->len; i++)
        sonde_free(o->items[i].path);
    sonde_free(o->items);
    memset(o, 0, sizeof(*o));
}
