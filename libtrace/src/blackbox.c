/* blackbox.c - the file, who sits where in it, and fork.
 *
 * Which records are free is kept outside of the file: the agent does not need it, and a child must not
 * inherit it by accident. */
#include "blackbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#include "blackbox_process.h"
#include "counters.h"
#include "ctx_record.h"

#define BARE_MAX   (SONDE__CTX_RECORDS_MAX - SONDE_BLACKBOX_AREAS)
#define BARE_BYTES (BARE_MAX * sizeof(sonde_thread_ctx))
#define NO_RECORD  ((uint32_t)UINT16_MAX)
#define ALL_FREE   ((1u << SONDE_BLACKBOX_PLACES) - 1)
#define SEALS      (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* What a surviving record keeps in a forked child, and an area on its way into a new file. */
#define KEPT_BYTES offsetof(sonde_blackbox_area, reserved0)

/* Records of one kind: how many were ever taken, and the first free one of those. */
typedef struct stock {
    uint32_t first; /* its records are first .. first + made - 1 */
    uint32_t max;
    uint32_t made;
    uint32_t idle; /* linked by next_idle */
} stock;

uint8_t *sonde__blackbox_base; /* written once, under the lock of start */
static sonde_thread_ctx *bare; /* the records without an area */
static _Atomic int fd = -1;
static stock areas = { 0, SONDE_BLACKBOX_AREAS, 0,
                       NO_RECORD }; /* guarded by the mutex of the areas, */
static stock bares = { SONDE_BLACKBOX_AREAS, BARE_MAX, 0, NO_RECORD }; /* as all below */
static uint16_t next_idle[SONDE__CTX_RECORDS_MAX];
static sonde__box boxes[SONDE_BLACKBOX_AREAS];

sonde__box *sonde__blackbox_box(uint32_t number)
{
    return &boxes[number];
}

/* -- the file ------------------------------------------------------------------------------------- */

static void *map_private(void *at, size_t bytes)
{
    void *map = mmap(at, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0), -1, 0);

    return map == MAP_FAILED ? NULL : map;
}

/* -1: there is no such file to be had here. */
static int make_file(void)
{
    int file = memfd_create("sonde-blackbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (file >= 0 &&
        (ftruncate(file, SONDE_BLACKBOX_BYTES) != 0 || fcntl(file, F_ADD_SEALS, SEALS) != 0)) {
        (void)close(file);
        file = -1;
    }
    return file;
}

static void *map_file(void *at, int file)
{
    void *map = mmap(at, SONDE_BLACKBOX_BYTES, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_NORESERVE | (at ? MAP_FIXED : 0), file, 0);

    return map == MAP_FAILED ? NULL : map;
}

static void set_fd(int file)
{
    int was = atomic_exchange_explicit(&fd, file, memory_order_relaxed);

    if (was >= 0)
        (void)close(was);
}

bool sonde__blackbox_map(bool as_file)
{
    int file = -1;

    if (sonde__blackbox_base) { /* the first life decided what it is; a later one may still do without the file */
        if (!as_file)
            set_fd(-1);
        return true;
    }
    if (as_file)
        file = make_file();
    if (file >= 0)
        sonde__blackbox_base = (uint8_t *)map_file(NULL, file);
    if (sonde__blackbox_base) {
        set_fd(file);
        return true;
    }
    if (file >= 0)
        (void)close(file);
    if (as_file)
        SONDE_LOG(SONDE_LOG_INFO, "no black box: errno=%d", errno);
    sonde__blackbox_base = (uint8_t *)map_private(NULL, SONDE_BLACKBOX_BYTES);
    return sonde__blackbox_base != NULL;
}

int sonde__blackbox_fd(void)
{
    return atomic_load_explicit(&fd, memory_order_relaxed);
}

sonde_blackbox_header *sonde__blackbox_header(void)
{
    return sonde__blackbox_fd() >= 0 ? (sonde_blackbox_header *)(void *)sonde__blackbox_base : NULL;
}

void sonde__blackbox_begin(const sonde__config *c, const char *runtime_id)
{
    sonde_blackbox_header *h = sonde__blackbox_header();

    if (!h)
        return;
    h->magic = SONDE_BLACKBOX_MAGIC;
    h->version = SONDE_BLACKBOX_VERSION;
    h->header_bytes = SONDE_BLACKBOX_HEADER_BYTES;
    h->area_bytes = SONDE_BLACKBOX_AREA_BYTES;
    h->areas = SONDE_BLACKBOX_AREAS;
    h->place_bytes = SONDE_BLACKBOX_PLACE_BYTES;
    h->places = SONDE_BLACKBOX_PLACES;
    h->places_at = SONDE_BLACKBOX_PLACES_AT;
    h->pid = (uint32_t)getpid();
    h->start_unix_ns = (uint64_t)sonde_unix_ns();
    atomic_store_explicit(&h->heartbeat_unix_ns, h->start_unix_ns, memory_order_relaxed);
    atomic_store_explicit(&h->spans_without_place, 0, memory_order_relaxed);
    atomic_store_explicit(&h->threads_without_area, 0, memory_order_relaxed);
    h->process_bytes = (uint32_t)sonde__blackbox_process(c, runtime_id, h->process);
    atomic_store_explicit(&h->state, SONDE_BLACKBOX_RUNNING, memory_order_release);
}

void sonde__blackbox_end(void)
{
    sonde_blackbox_header *h = sonde__blackbox_header();

    if (h)
        atomic_store_explicit(&h->state, SONDE_BLACKBOX_CLOSED, memory_order_release);
}

/* -- seats ---------------------------------------------------------------------------------------- */

static bool is_empty(sonde__box *box)
{
    /* pairs with sonde__blackbox_finishes() */
    box->free |= atomic_exchange_explicit(&box->back, 0, memory_order_acquire);
    return box->free == ALL_FREE;
}

/* Takes the first idle one off the list; of areas, the first one whose places are all free: spans of a
 * thread that has ended may still be open. */
static uint32_t take_idle(stock *from)
{
    uint32_t before = NO_RECORD;
    uint32_t number = from->idle;

    while (from == &areas && number != NO_RECORD && !is_empty(&boxes[number])) {
        before = number;
        number = next_idle[number];
    }
    if (number == NO_RECORD)
        return NO_RECORD;
    if (before == NO_RECORD)
        from->idle = next_idle[number];
    else
        next_idle[before] = next_idle[number];
    return number;
}

static uint32_t take_from(stock *from)
{
    uint32_t number = take_idle(from);

    return number != NO_RECORD || from->made == from->max ? number : from->first + from->made++;
}

static void give_to(stock *to, uint32_t number)
{
    next_idle[number] = (uint16_t)to->idle;
    to->idle = number;
}

/* Either kind's record; NULL: the memory for it is not there. */
static sonde_thread_ctx *record_at(uint32_t number)
{
    if (number < SONDE_BLACKBOX_AREAS)
        return sonde__blackbox_base ? &sonde__blackbox_area(number)->record : NULL;
    return bare ? &bare[number - SONDE_BLACKBOX_AREAS] : NULL;
}

static sonde__seat take_bare(void)
{
    uint32_t number;

    if (!bare)
        bare = (sonde_thread_ctx *)map_private(NULL, BARE_BYTES);
    number = bare ? take_from(&bares) : NO_RECORD;
    if (number == NO_RECORD)
        return (sonde__seat){ NULL, NULL, NO_RECORD };
    return (sonde__seat){ record_at(number), NULL, number };
}

static void count_thread_without_area(void)
{
    sonde_blackbox_header *h = sonde__blackbox_header();

    if (!h)
        return;
    sonde__count(SONDE__BLACKBOX_NO_AREA, 1);
    atomic_fetch_add_explicit(&h->threads_without_area, 1, memory_order_relaxed);
}

sonde__seat sonde__blackbox_take(void)
{
    uint32_t number = sonde__blackbox_base ? take_from(&areas) : NO_RECORD;
    sonde__seat seat;

    if (number == NO_RECORD) {
        seat = take_bare();
        count_thread_without_area();
    } else {
        boxes[number].free = ALL_FREE;
        seat = (sonde__seat){ record_at(number), &boxes[number], number };
        (void)prctl(PR_GET_NAME, sonde__blackbox_area(number)->thread_name);
    }
    if (seat.record) {
        seat.record->tail_version = SONDE_THREAD_CTX_TAIL_VERSION;
        sonde__ctx_record_set_tid(seat.record);
    }
    return seat;
}

void sonde__blackbox_give(const sonde__seat *seat)
{
    if (seat->record)
        give_to(seat->box ? &areas : &bares, seat->number);
}

sonde_thread_ctx *sonde__blackbox_record(uint32_t i)
{
    if (i < areas.made)
        return record_at(i);
    return i - areas.made < bares.made ? record_at(bares.first + i - areas.made) : NULL;
}

/* -- fork ----------------------------------------------------------------------------------------- */

/* All but `mine` are free again, with all their places: open spans are the parent's. */
static void free_all_but(uint32_t mine)
{
    uint32_t i;

    areas.idle = bares.idle = NO_RECORD;
    for (i = areas.made; i-- > 0;) {
        boxes[i].free = ALL_FREE;
        atomic_store_explicit(&boxes[i].back, 0, memory_order_relaxed);
        if (i != mine)
            give_to(&areas, i);
    }
    for (i = bares.first + bares.made; i-- > bares.first;) {
        if (i == mine)
            continue;
        atomic_store_explicit(&record_at(i)->tid, 0, memory_order_relaxed);
        give_to(&bares, i);
    }
}

bool sonde__blackbox_postfork_child(const sonde__seat *mine)
{
    bool has_area = mine && mine->box;
    uint8_t kept[KEPT_BYTES];

    set_fd(-1);
    free_all_but(mine && mine->record ? mine->number : NO_RECORD);
    if (!sonde__blackbox_base)
        return true;
    if (has_area)
        memcpy(kept, sonde__blackbox_area(mine->number), sizeof(kept));
    if (!map_private(sonde__blackbox_base, SONDE_BLACKBOX_BYTES)) {
        sonde__blackbox_base = NULL; /* the parent's file is not touched, whatever it costs here */
        return !has_area;
    }
    if (has_area)
        memcpy(sonde__blackbox_area(mine->number), kept, sizeof(kept));
    return true;
}

/* Areas that are in use, as they are now, into the file. */
static bool copy_areas(int file)
{
    uint32_t i;

    for (i = 0; i < areas.made; i++) {
        off_t at = (off_t)((uint8_t *)sonde__blackbox_area(i) - sonde__blackbox_base);

        if (atomic_load_explicit(&sonde__blackbox_area(i)->record.tid, memory_order_relaxed) != 0 &&
            pwrite(file, sonde__blackbox_area(i), KEPT_BYTES, at) != (ssize_t)KEPT_BYTES)
            return false;
    }
    return true;
}

bool sonde__blackbox_renew(const sonde__config *c, const char *runtime_id)
{
    int file;

    if (!sonde__blackbox_base || sonde__blackbox_fd() >= 0)
        return false;
    file = make_file();
    if (file < 0)
        return false;
    /* Only a mapping that cannot be replaced stays as it is. */
    if (!copy_areas(file) || !map_file(sonde__blackbox_base, file)) {
        (void)close(file);
        return false;
    }
    set_fd(file);
    sonde__blackbox_begin(c, runtime_id);
    return true;
}
