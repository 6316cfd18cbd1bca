/* spool.c - one folder, one file a body. */
#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hex.h"
#include "base/str.h"

#include "record.h"

#define NAME_BYTES   32 /* "0123456789abcdef.body" */
#define FILE_MAX     (SPOOL_PATH_MAX + NAME_BYTES + 2)
#define FIRST_CAP    64
#define SUFFIX_BODY  ".body"
#define SUFFIX_PART  ".part"
#define SEQUENCE_LEN 16

static void path_of(const spool *s, uint64_t sequence, const char *suffix, char out[FILE_MAX])
{
    (void)snprintf(out, FILE_MAX, "%s/%016llx%s", s->dir, (unsigned long long)sequence, suffix);
}

/* ---- index ---- */

static spool_entry *at(const spool *s, size_t i)
{
    return &s->entries[s->first + i];
}

/* Room for one more behind the last. */
static sonde_status grow(spool *s)
{
    size_t cap = s->cap ? s->cap * 2 : FIRST_CAP;
    spool_entry *entries;

    if (s->first + s->len < s->cap)
        return SONDE_OK;
    if (s->first) { /* so a place that was taken can be put back without memory */
        memmove(s->entries, at(s, 0), s->len * sizeof(*s->entries));
        s->first = 0;
        return SONDE_OK;
    }
    entries = sonde_realloc(s->entries, cap * sizeof(*entries));
    if (!entries)
        return SONDE_ERR_NOMEM;
    s->entries = entries;
    s->cap = cap;
    return SONDE_OK;
}

sonde_status spool_put(spool *s, const spool_entry *entry)
{
    size_t i = s->len;

    if (s->len >= SPOOL_FILES_MAX)
        return SONDE_ERR_FULL;
    if (grow(s) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    while (i > 0 && at(s, i - 1)->sequence > entry->sequence)
        i--;
    memmove(at(s, i + 1), at(s, i), (s->len - i) * sizeof(*s->entries));
    *at(s, i) = *entry;
    s->len++;
    return SONDE_OK;
}

const spool_entry *spool_oldest(const spool *s)
{
    return s->len ? at(s, 0) : NULL;
}

spool_entry spool_take(spool *s)
{
    spool_entry entry = *at(s, 0);

    s->first++;
    s->len--;
    return entry;
}

uint64_t spool_last_sequence(const spool *s)
{
    return s->len ? at(s, s->len - 1)->sequence : 0;
}

bool spool_is_usable(const spool *s, uint64_t now_mono_ns)
{
    return s->dir[0] && s->max_bytes && now_mono_ns >= s->rest_until_mono_ns;
}

void spool_failed(spool *s, int error, uint64_t now_mono_ns)
{
    s->counters.errors++;
    s->counters.last_errno = error;
    s->rest_until_mono_ns = sonde_deadline(now_mono_ns, SPOOL_REST_NS);
}

/* ---- files ---- */

static bool write_all(int fd, const void *data, size_t len)
{
    const uint8_t *at_byte = data;

    while (len) {
        ssize_t n = write(fd, at_byte, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at_byte += n;
        len -= (size_t)n;
    }
    return true;
}

static bool read_all(int fd, void *data, size_t len)
{
    uint8_t *at_byte = data;

    while (len) {
        ssize_t n = read(fd, at_byte, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at_byte += n;
        len -= (size_t)n;
    }
    return true;
}

sonde_status spool_write(const spool *s, const delivery *d, int64_t accepted_unix_ns,
                         uint64_t *out_bytes, int *out_errno)
{
    const upload *u = &d->upload->what;
    uint8_t prefix[RECORD_PREFIX_MAX];
    char part[FILE_MAX], whole[FILE_MAX];
    size_t len = record_write_prefix(u, accepted_unix_ns, d->attempts, prefix);
    bool ok;
    int fd;

    *out_errno = 0;
    if (!len)
        return SONDE_ERR_INVALID;
    path_of(s, d->sequence, SUFFIX_PART, part);
    path_of(s, d->sequence, SUFFIX_BODY, whole);
    fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    ok = fd >= 0 && write_all(fd, prefix, len) && write_all(fd, u->body, u->body_len);
    if (!ok)
        *out_errno = errno ? errno : EIO;
    if (fd >= 0 && close(fd) != 0 && ok) {
        *out_errno = errno;
        ok = false;
    }
    if (ok && rename(part, whole) != 0) {
        *out_errno = errno;
        ok = false;
    }
    if (!ok && fd >= 0)
        (void)unlink(part);
    *out_bytes = len + u->body_len;
    return ok ? SONDE_OK : SONDE_ERR_SYS;
}

/* Reads and judges the head of an open file. */
static bool read_facts(int fd, uint8_t prefix[RECORD_PREFIX_MAX], record_facts *out)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && read_all(fd, prefix, RECORD_HEAD_BYTES) &&
           record_read_head(prefix, (uint64_t)st.st_size, out);
}

static bool is_same(const record_facts *facts, const spool_entry *entry)
{
    return facts->items == entry->items && facts->chunks == entry->chunks &&
           facts->kind == entry->kind && facts->body_len == entry->body_bytes;
}

static sonde_status read_body(int fd, const spool_entry *entry, delivery **out_delivery)
{
    uint8_t prefix[RECORD_PREFIX_MAX];
    record_facts facts;
    record_texts texts;
    uint8_t *body;
    sonde_status status = SONDE_ERR_SYNTAX;

    if (!read_facts(fd, prefix, &facts) || !is_same(&facts, entry) ||
        !read_all(fd, prefix + RECORD_HEAD_BYTES, facts.prefix_len - RECORD_HEAD_BYTES))
        return SONDE_ERR_SYNTAX;
    body = sonde_malloc(facts.body_len);
    if (!body)
        return SONDE_ERR_NOMEM;
    if (read_all(fd, body, facts.body_len) && record_check(&facts, prefix, body, &texts)) {
        status = delivery_from_record(&facts, &texts, body, out_delivery);
        if (status == SONDE_OK)
            return status;
    }
    sonde_free(body);
    return status;
}

sonde_status spool_read(const spool *s, const spool_entry *entry, delivery **out_delivery)
{
    char path[FILE_MAX];
    sonde_status status;
    int fd;

    path_of(s, entry->sequence, SUFFIX_BODY, path);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? SONDE_ERR_NOT_FOUND : SONDE_ERR_SYS;
    status = read_body(fd, entry, out_delivery);
    (void)close(fd);
    if (status == SONDE_OK) {
        (*out_delivery)->sequence = entry->sequence;
        (*out_delivery)->on_disk = *entry;
    }
    return status;
}

void spool_remove(const spool *s, uint64_t sequence)
{
    char path[FILE_MAX];

    path_of(s, sequence, SUFFIX_BODY, path);
    (void)unlink(path);
}

uint64_t spool_limit(const spool *s, uint64_t own_bytes)
{
    struct statvfs fs;
    double size, used, allowed;

    if (s->max_disk_ratio >= 1 || statvfs(s->dir, &fs) != 0)
        return s->max_bytes;
    size = (double)fs.f_blocks * (double)fs.f_frsize;
    used = size - (double)fs.f_bavail * (double)fs.f_frsize;
    allowed = size * s->max_disk_ratio - (used - (double)own_bytes);
    if (allowed <= 0)
        return 0;
    return allowed < (double)s->max_bytes ? (uint64_t)allowed : s->max_bytes;
}

/* ---- opening ---- */

typedef enum found { FOUND_BODY, FOUND_PART, FOUND_CORRUPT, FOUND_OTHER } found;

/* What a name in the folder stands for. */
static found look_at(const spool *s, const char *name, const spool_options *o, spool_entry *out)
{
    sonde_str text = sonde_str_from(name);
    sonde_str suffix = sonde_str_sub(text, SEQUENCE_LEN, text.len);
    uint8_t prefix[RECORD_PREFIX_MAX];
    uint64_t sequence;
    record_facts facts;
    char path[FILE_MAX];
    bool ok;
    int fd;

    if (text.len != SEQUENCE_LEN + suffix.len ||
        sonde_hex_parse_u64(sonde_str_sub(text, 0, SEQUENCE_LEN), 0, &sequence) != SONDE_OK)
        return FOUND_OTHER;
    *out = (spool_entry){ .sequence = sequence };
    if (sonde_str_eq(suffix, SONDE_STR(SUFFIX_PART)))
        return FOUND_PART;
    if (!sonde_str_eq(suffix, SONDE_STR(SUFFIX_BODY)))
        return FOUND_OTHER;
    path_of(s, sequence, SUFFIX_BODY, path);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ok = fd >= 0 && sequence != 0 && read_facts(fd, prefix, &facts);
    if (fd >= 0)
        (void)close(fd);
    if (!ok)
        return FOUND_CORRUPT;
    out->items = facts.items;
    out->chunks = facts.chunks;
    out->body_bytes = facts.body_len;
    out->file_bytes = (uint64_t)facts.prefix_len + facts.body_len;
    out->kind = facts.kind;
    out->accepted_mono_ns = (int64_t)o->now_mono_ns;
    if (facts.accepted_unix_ns < o->now_unix_ns) /* else the clock was set back: as if just now */
        out->accepted_mono_ns -= o->now_unix_ns - facts.accepted_unix_ns;
    return FOUND_BODY;
}

static void remove_name(const spool *s, const char *name)
{
    char path[FILE_MAX];

    (void)snprintf(path, sizeof(path), "%s/%.*s", s->dir, NAME_BYTES, name);
    (void)unlink(path);
}

static void add_found(spool *s, const char *name, const spool_options *o)
{
    spool_entry entry;
    found what = look_at(s, name, o, &entry);

    if (what == FOUND_BODY) {
        if (spool_put(s, &entry) == SONDE_OK)
            s->bytes += entry.file_bytes;
    } else if (what != FOUND_OTHER) {
        s->counters.partial += what == FOUND_PART;
        s->counters.corrupt += what == FOUND_CORRUPT;
        remove_name(s, name);
    }
}

sonde_status spool_open(spool *s, const spool_options *options, sonde_error *out_error)
{
    struct dirent *d;
    DIR *dir;

    *s = (spool){ .max_bytes = options->max_bytes,
                  .max_disk_ratio = options->max_disk_ratio > 0 ? options->max_disk_ratio : 1 };
    if (strlen(options->dir) >= sizeof(s->dir))
        return sonde_fail(out_error, SONDE_ERR_CONFIG, "%s: too long", options->dir);
    if (mkdir(options->dir, 0700) != 0 && errno != EEXIST)
        return sonde_fail_sys(out_error, errno, "%s", options->dir);
    dir = opendir(options->dir);
    if (!dir)
        return sonde_fail_sys(out_error, errno, "%s", options->dir);
    (void)snprintf(s->dir, sizeof(s->dir), "%s", options->dir);
    while ((d = readdir(dir)) != NULL)
        add_found(s, d->d_name, options);
    (void)closedir(dir);
    return SONDE_OK;
}

void spool_close(spool *s)
{
    sonde_free(s->entries);
    *s = (spool){ 0 };
}
