/* got.c - all objects under the loader's lock; mappings as the kernel has them, read under it too.
 *
 * Sealed pages (RELRO) are made writable for one store.  An object that is being loaded is not sealed yet: then its loader
 * still writes there, and nothing is done.  So a page is opened only when the kernel says it is closed. */
#include "base/got.h"

#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/elf_image.h"

#define FNV_START UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

/* -- what is writable ------------------------------------------------------------------------------- */

typedef struct range {
    uint64_t lo;
    uint64_t hi; /* bit 0: writable */
} range;

typedef struct ranges {
    range *all; /* NULL: not known */
    size_t len;
} ranges;

/* One line of /proc/self/maps at a time: "lo-hi rw". */
typedef struct maps_reader {
    uint64_t number[2];
    uint32_t column; /* 0, 1: in a number; 2, 3: the rights; 4: behind them */
    bool is_writable;
} maps_reader;

static void take_char(maps_reader *m, char c, ranges *out)
{
    uint64_t digit = c >= '0' && c <= '9'   ? (uint64_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a') + 10
                                            : 16;

    if (c == '\n') {
        if (m->column == 4 && out->len < SONDE_GOT_RANGES_MAX)
            out->all[out->len++] = (range){ m->number[0], m->number[1] | m->is_writable };
        *m = (maps_reader){ .column = 0 };
    } else if (m->column < 2 && digit < 16) {
        m->number[m->column] = m->number[m->column] << 4 | digit;
    } else if (m->column < 4) {
        m->is_writable = m->column == 3 && c == 'w'; /* "r", then "w" */
        m->column++;
    }
}

static void read_ranges(ranges *out)
{
    size_t bytes = SONDE_GOT_RANGES_MAX * sizeof(range);
    long at =
        syscall(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    maps_reader m = { .column = 0 };
    char text[4096];
    long fd, n, i;

    *out = (ranges){ .len = 0 };
    if (at < 0 && at > -4096)
        return;
    out->all = (range *)at;
    fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    while ((n = syscall(SYS_read, fd, text, sizeof(text))) > 0)
        for (i = 0; i < n; i++)
            take_char(&m, text[i], out);
    (void)syscall(SYS_close, fd);
}

static void drop_ranges(ranges *r)
{
    if (r->all)
        (void)syscall(SYS_munmap, r->all, SONDE_GOT_RANGES_MAX * sizeof(range));
    r->all = NULL;
}

enum access { ACCESS_UNKNOWN, ACCESS_CLOSED, ACCESS_WRITABLE };

static enum access access_of(const ranges *r, uint64_t address)
{
    size_t lo = 0, hi = r->len;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if ((r->all[mid].hi & ~UINT64_C(1)) <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == r->len || address < r->all[lo].lo)
        return ACCESS_UNKNOWN;
    return r->all[lo].hi & 1 ? ACCESS_WRITABLE : ACCESS_CLOSED;
}

/* -- what is done ----------------------------------------------------------------------------------- */

static uint64_t done[SONDE_GOT_DONE_MAX]; /* keys, 0: free */
static size_t done_len;

static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
    const uint8_t *b = bytes;
    size_t i;

    for (i = 0; i < len; i++)
        hash = (hash ^ b[i]) * FNV_PRIME;
    return hash;
}

/* Another object may come to lie where one was: its notes, in which the build-id is, are part of the key. */
static uint64_t key_of(const struct dl_phdr_info *o, const sonde_elf_image *e)
{
    uint64_t key = mix(FNV_START, &o->dlpi_addr, sizeof(o->dlpi_addr));
    const void *notes;
    int i;

    if (o->dlpi_name)
        key = mix(key, o->dlpi_name, strlen(o->dlpi_name));
    for (i = 0; i < o->dlpi_phnum; i++) {
        key = mix(key, &o->dlpi_phdr[i], sizeof(o->dlpi_phdr[i]));
        notes = o->dlpi_phdr[i].p_type == PT_NOTE
                    ? sonde_elf_bytes(e, o->dlpi_phdr[i].p_vaddr, o->dlpi_phdr[i].p_filesz)
                    : NULL;
        if (notes)
            key = mix(key, notes, o->dlpi_phdr[i].p_filesz);
    }
    return key ? key : 1;
}

static uint64_t *place_of(uint64_t key)
{
    size_t i = key % SONDE_GOT_DONE_MAX;

    while (done[i] && done[i] != key)
        i = (i + 1) % SONDE_GOT_DONE_MAX;
    return &done[i];
}

/* One place stays free, at which a search ends. */
static void remember(uint64_t key)
{
    uint64_t *place = place_of(key);

    if (*place || done_len + 1 >= SONDE_GOT_DONE_MAX)
        return;
    *place = key;
    done_len++;
}

void sonde_got_forget(void)
{
    memset(done, 0, sizeof(done));
    done_len = 0;
}

/* -- slots ------------------------------------------------------------------------------------------ */

typedef struct work {
    const sonde_got_hook *hooks;
    size_t len;
    ranges ranges;
    bool has_ranges;
    const sonde_elf_image *object;
    uint32_t number; /* of it; 0: the program */
    sonde_got_counts counts;
} work;

static const sonde_got_hook *find_hook(const work *w, const char *name)
{
    size_t lo = 0, hi = w->len;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(name, w->hooks[mid].name);

        if (order == 0)
            return w->hooks[mid].real ? &w->hooks[mid] : NULL;
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

static void store(uint64_t slot, uint64_t value)
{
    __atomic_store_n((uint64_t *)(uintptr_t)slot, value, __ATOMIC_RELEASE);
}

/* False: not now. */
static bool store_sealed(uint64_t slot, uint64_t value)
{
    uint64_t bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    void *page = (void *)(uintptr_t)(slot & ~(bytes - 1));

    if (mprotect(page, bytes, PROT_READ | PROT_WRITE) != 0)
        return false;
    store(slot, value);
    (void)mprotect(page, bytes, PROT_READ);
    return true;
}

static bool patch(work *w, const sonde_elf_slot *slot, uint64_t value)
{
    enum access access = access_of(&w->ranges, slot->at);

    if (slot->is_sealed)
        return access == ACCESS_CLOSED && store_sealed(slot->at, value);
    if (access != ACCESS_WRITABLE)
        return false;
    store(slot->at, value);
    return true;
}

/* The way to the loader, which would find what everybody finds.  Of one that is not yet moved to where it is: false. */
static bool would_be_real(const work *w, const sonde_got_hook *hook, const sonde_elf_slot *slot,
                          uint64_t value)
{
    return slot->is_lazy && value >= w->object->hi * !!w->object->bias &&
           sonde_elf_covers(w->object, value) && (hook->is_only || w->number == 0);
}

static bool is_unbound(const work *w, const sonde_elf_slot *slot, uint64_t value)
{
    return (value == 0 && !slot->is_weak) || (value != 0 && value < w->object->hi) ||
           sonde_elf_covers(w->object, value);
}

static void look_at_slot(void *user, const sonde_elf_slot *slot)
{
    work *w = user;
    const sonde_got_hook *hook = find_hook(w, slot->name);
    bool is_bound;
    uint64_t value;

    if (!hook)
        return;
    value = __atomic_load_n((const uint64_t *)(uintptr_t)slot->at, __ATOMIC_RELAXED);
    is_bound = value == hook->real;
    if (is_bound || would_be_real(w, hook, slot, value)) {
        if (patch(w, slot, hook->hook))
            w->counts.patched++;
        else
            is_bound = false;
        w->counts.waiting += !is_bound; /* the loader may be writing there this moment */
    } else if (is_unbound(w, slot, value)) {
        w->counts.waiting++;
    }
}

/* -- objects ---------------------------------------------------------------------------------------- */

static bool open_object(const struct dl_phdr_info *o, sonde_elf_image *out)
{
    return sonde_elf_open_loaded(out, o->dlpi_phdr, o->dlpi_phnum, o->dlpi_addr);
}

static bool is_vdso(const sonde_elf_image *e)
{
    uint64_t at = getauxval(AT_SYSINFO_EHDR);

    return at && sonde_elf_covers(e, at);
}

static bool is_loader(const sonde_elf_image *e)
{
    uint64_t at = getauxval(AT_BASE);

    return at && e->bias + e->lo == at;
}

static bool is_left_alone(const work *w, const sonde_elf_image *e)
{
    return sonde_elf_covers(e, w->hooks[0].hook) || is_vdso(e) || is_loader(e);
}

static int look_at_object(struct dl_phdr_info *o, size_t size, void *user)
{
    work *w = user;
    uint64_t key, waiting;
    sonde_elf_image e;

    (void)size;
    w->number++;
    if (!open_object(o, &e) || is_left_alone(w, &e))
        return 0;
    key = key_of(o, &e);
    if (*place_of(key))
        return 0;
    if (!w->has_ranges) /* here: objects neither come nor go now */
        read_ranges(&w->ranges);
    w->has_ranges = true;
    w->object = &e;
    waiting = w->counts.waiting;
    sonde_elf_each_slot(&e, look_at_slot, w);
    w->counts.objects++;
    if (w->counts.waiting == waiting)
        remember(key);
    return 0;
}

void sonde_got_patch(const sonde_got_hook *hooks, size_t len, sonde_got_counts *out)
{
    work w = { .hooks = hooks, .len = len, .number = UINT32_MAX };

    if (len > 0 && len <= SONDE_GOT_HOOKS_MAX)
        (void)dl_iterate_phdr(look_at_object, &w);
    drop_ranges(&w.ranges);
    *out = w.counts;
}

/* -- functions -------------------------------------------------------------------------------------- */

typedef struct question {
    const char *name;
    uint64_t address;
    uint64_t found;
    uint32_t founds;
    bool is_behind;
} question;

static int find_besides(struct dl_phdr_info *o, size_t size, void *user)
{
    uint64_t at = 0;
    question *q = user;
    sonde_elf_image e;

    (void)size;
    if (open_object(o, &e) && !(q->address && sonde_elf_covers(&e, q->address)) && !is_vdso(&e) &&
        !is_loader(&e))
        at = sonde_elf_function(&e, q->name);
    if (at && q->founds++ == 0)
        q->found = at;
    return 0;
}

uint64_t sonde_got_find(const char *name, uint64_t besides, bool *out_is_only)
{
    question q = { .name = name, .address = besides };

    (void)dl_iterate_phdr(find_besides, &q);
    if (out_is_only)
        *out_is_only = q.founds == 1;
    return q.found;
}

static int find_in(struct dl_phdr_info *o, size_t size, void *user)
{
    question *q = user;
    sonde_elf_image e;

    (void)size;
    if (!open_object(o, &e) || !sonde_elf_covers(&e, q->address))
        return 0;
    q->found = sonde_elf_function(&e, q->name);
    return 1;
}

uint64_t sonde_got_find_in(const char *name, uint64_t address)
{
    question q = { .name = name, .address = address };

    (void)dl_iterate_phdr(find_in, &q);
    return q.found;
}

static int look_who_is_first(struct dl_phdr_info *o, size_t size, void *user)
{
    question *q = user;
    sonde_elf_image e;

    (void)size;
    if (!open_object(o, &e))
        return 0;
    if (sonde_elf_covers(&e, q->address))
        return 1;
    q->is_behind = sonde_elf_function(&e, q->name) != 0;
    return q->is_behind;
}

bool sonde_got_is_behind(uint64_t address, const char *name)
{
    question q = { .name = name, .address = address };

    (void)dl_iterate_phdr(look_who_is_first, &q);
    return q.is_behind;
}
