/* ledger.c - one mapped file of rows. */
#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/str.h"

#define VERSION 1
#define BYTES   12288

static const char magic[8] = { 'S', 'N', 'D', 'L', 'E', 'D', 'G', 'R' };

typedef struct cell {
    _Atomic uint64_t payloads;
    _Atomic uint64_t items;
} cell;

struct ledger_row {
    char name[LEDGER_NAME_MAX]; /* "": free */
    cell cells[UPLOAD_KINDS][LEDGER_COLUMNS];
};

typedef struct page { /* the file; in the machine's byte order, it never leaves it */
    char magic[8];
    uint32_t version;
    uint32_t row_bytes;
    char unused[48];
    ledger_row rows[LEDGER_ROWS];
} page;

_Static_assert(sizeof(page) <= BYTES, "the ledger fits its file");

struct ledger {
    page *page;
    bool claimed[LEDGER_ROWS];
};

/* A file of this form, or one full of zeros. */
static void check(page *p)
{
    int i;

    if (memcmp(p->magic, magic, sizeof(magic)) != 0 || p->version != VERSION ||
        p->row_bytes != sizeof(ledger_row)) {
        memset(p, 0, BYTES);
        p->version = VERSION;
        p->row_bytes = sizeof(ledger_row);
        memcpy(p->magic, magic, sizeof(magic));
    }
    for (i = 0; i < LEDGER_ROWS; i++)
        p->rows[i].name[LEDGER_NAME_MAX - 1] = '\0';
}

static sonde_status map_file(int fd, const char *path, page **out_page, sonde_error *out_error)
{
    int error = posix_fallocate(fd, 0, BYTES);
    void *at;

    if (error)
        return sonde_fail_sys(out_error, error, "%s", path);
    at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return sonde_fail_sys(out_error, errno, "%s", path);
    *out_page = at;
    return SONDE_OK;
}

sonde_status ledger_open(const char *path, ledger **out_ledger, sonde_error *out_error)
{
    ledger *l = sonde_calloc(1, sizeof(*l));
    sonde_status status;
    int fd;

    if (!l)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "ledger");
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        sonde_free(l);
        return sonde_fail_sys(out_error, errno, "%s", path);
    }
    status = map_file(fd, path, &l->page, out_error);
    (void)close(fd);
    if (status != SONDE_OK) {
        sonde_free(l);
        return status;
    }
    check(l->page);
    *out_ledger = l;
    return SONDE_OK;
}

void ledger_close(ledger *l)
{
    if (!l)
        return;
    (void)munmap(l->page, BYTES);
    sonde_free(l);
}

/* The row of that name, else a free one, else one of a former life; -1: all are claimed. */
static int find(const ledger *l, const char *name)
{
    int i, unclaimed = -1;

    for (i = 0; i < LEDGER_ROWS; i++) {
        if (strcmp(l->page->rows[i].name, name) == 0)
            return i;
        if (!l->claimed[i] && (unclaimed < 0 || !l->page->rows[i].name[0]))
            unclaimed = unclaimed >= 0 && !l->page->rows[unclaimed].name[0] ? unclaimed : i;
    }
    return unclaimed;
}

ledger_row *ledger_claim(ledger *l, const char *name)
{
    ledger_row *row;
    int i = l && name[0] && strlen(name) < LEDGER_NAME_MAX ? find(l, name) : -1;

    if (i < 0)
        return NULL;
    row = &l->page->rows[i];
    if (strcmp(row->name, name) != 0) {
        memset(row, 0, sizeof(*row));
        memcpy(row->name, name, strlen(name) + 1);
    }
    l->claimed[i] = true;
    return row;
}

ledger_count ledger_read(const ledger_row *row, upload_kind kind, ledger_column column)
{
    const cell *c = row ? &row->cells[kind][column] : NULL;

    if (!c)
        return (ledger_count){ 0, 0 };
    return (ledger_count){ atomic_load_explicit(&c->payloads, memory_order_relaxed),
                           atomic_load_explicit(&c->items, memory_order_relaxed) };
}

void ledger_store(ledger_row *row, upload_kind kind, ledger_column column, ledger_count value)
{
    cell *c = row ? &row->cells[kind][column] : NULL;

    if (!c)
        return;
    atomic_store_explicit(&c->payloads, value.payloads, memory_order_relaxed);
    atomic_store_explicit(&c->items, value.items, memory_order_relaxed);
}

void ledger_add(ledger_row *row, upload_kind kind, ledger_column column, ledger_count value)
{
    cell *c = row ? &row->cells[kind][column] : NULL;

    if (!c)
        return;
    atomic_fetch_add_explicit(&c->payloads, value.payloads, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->items, value.items, memory_order_relaxed);
}

/* What is in neither of the three; a kill between two stores can make that less than nothing. */
static uint64_t missing(uint64_t accepted, uint64_t delivered, uint64_t dropped, uint64_t lost,
                        uint64_t on_disk)
{
    uint64_t found = delivered + dropped + lost + on_disk;

    return accepted > found ? accepted - found : 0;
}

void ledger_settle(ledger_row *row, const ledger_count on_disk[UPLOAD_KINDS])
{
    int kind;

    for (kind = 0; row && kind < UPLOAD_KINDS; kind++) {
        upload_kind k = (upload_kind)kind;
        ledger_count in = ledger_read(row, k, LEDGER_ACCEPTED);
        ledger_count out = ledger_read(row, k, LEDGER_DELIVERED);
        ledger_count dropped = ledger_read(row, k, LEDGER_DROPPED);
        ledger_count lost = ledger_read(row, k, LEDGER_LOST_CRASH);
        const ledger_count *disk = &on_disk[kind];

        ledger_add(
            row, k, LEDGER_LOST_CRASH,
            (ledger_count){
                missing(in.payloads, out.payloads, dropped.payloads, lost.payloads, disk->payloads),
                missing(in.items, out.items, dropped.items, lost.items, disk->items) });
        ledger_store(row, k, LEDGER_SPOOLED, *disk);
    }
}

const char *const ledger_column_names[LEDGER_COLUMNS] = {
#define X(name, text) [LEDGER_##name] = text,
    LEDGER_COLUMN_MAP(X)
#undef X
};

void ledger_write_json(const ledger_row *row, sonde_json_writer *w)
{
    static const char *const kinds[UPLOAD_KINDS] = {
        [UPLOAD_TRACES] = "traces", [UPLOAD_STATS] = "stats", [UPLOAD_PROFILES] = "profiles"
    };
    int kind, column;

    for (kind = 0; kind < UPLOAD_KINDS; kind++) {
        sonde_json_key(w, sonde_str_from(kinds[kind]));
        sonde_json_begin_object(w);
        for (column = 0; column < LEDGER_COLUMNS; column++) {
            ledger_count n = ledger_read(row, (upload_kind)kind, (ledger_column)column);

            sonde_json_key(w, sonde_str_from(ledger_column_names[column]));
            sonde_json_begin_object(w);
            sonde_json_put_u64(w, "payloads", n.payloads);
            sonde_json_put_u64(w, "items", n.items);
            sonde_json_end_object(w);
        }
        sonde_json_end_object(w);
    }
}
