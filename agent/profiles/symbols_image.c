/* symbols_image.c - a sealed index as a file.
 *
 *   "SNDNAMES"  version 4  build-id length 4  build-id 32  symbols 4  0 4  bytes of names 8  checksum 8
 *   symbols, by address: address 8  size 4  name 4  rank 1  is a function 1  0 2
 *   names, each with a NUL
 *
 * All numbers little-endian.  The checksum is of everything but itself.  It finds what a disk or a crash did; whoever
 * makes a right one gets wrong names, but nothing else: every place and length is looked at, too.
 */
#include "symbols_disk.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "codec/bytes.h"

#define VERSION      1u
#define HEAD_BYTES   72u
#define CHECKED      64u /* bytes of the head before the checksum */
#define ROW_BYTES    20u
#define ROWS_AT_ONCE 2048u

static const char magic[8] = { 'S', 'N', 'D', 'N', 'A', 'M', 'E', 'S' };

static void put32(uint8_t *to, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void make_head(uint8_t head[HEAD_BYTES], const elf_identity *id, uint32_t len,
                      uint64_t names_len)
{
    memset(head, 0, HEAD_BYTES);
    memcpy(head, magic, sizeof(magic));
    put32(head + 8, VERSION);
    put32(head + 12, (uint32_t)id->build_id_len);
    memcpy(head + 16, id->build_id, id->build_id_len);
    put32(head + 48, len);
    sonde_bytes_put64le(head + 56, names_len);
}

/* ---- writing ---- */

static bool write_all(int fd, const void *data, size_t len, uint64_t *at)
{
    const uint8_t *from = data;

    while (len > 0) {
        ssize_t n = pwrite(fd, from, len, (off_t)*at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        from += n;
        len -= (size_t)n;
        *at += (uint64_t)n;
    }
    return true;
}

static void make_row(uint8_t row[ROW_BYTES], const symbol_entry *e)
{
    sonde_bytes_put64le(row, e->address);
    put32(row + 8, e->size);
    put32(row + 12, e->name);
    row[16] = e->rank;
    row[17] = e->is_func;
    row[18] = row[19] = 0;
}

static bool write_rows(int fd, const symbol_index *x, uint64_t *at, uint64_t *checksum)
{
    uint8_t rows[ROWS_AT_ONCE * ROW_BYTES];

    for (uint32_t i = 0; i < x->len;) {
        uint32_t n = x->len - i < ROWS_AT_ONCE ? x->len - i : ROWS_AT_ONCE;

        for (uint32_t k = 0; k < n; k++)
            make_row(rows + (size_t)k * ROW_BYTES, &x->entries[i + k]);
        *checksum = sonde_hash(*checksum, rows, (size_t)n * ROW_BYTES);
        if (!write_all(fd, rows, (size_t)n * ROW_BYTES, at))
            return false;
        i += n;
    }
    return true;
}

sonde_status symbol_image_write(int fd, const elf_identity *id, const symbol_index *x,
                                uint64_t *out_bytes)
{
    uint8_t head[HEAD_BYTES];
    uint64_t at = HEAD_BYTES, start = 0, checksum;

    make_head(head, id, x->len, x->names.len);
    checksum = sonde_hash(0, head, CHECKED);
    if (!write_rows(fd, x, &at, &checksum) || !write_all(fd, x->names.data, x->names.len, &at))
        return SONDE_ERR_SYS;
    if (x->names.len)
        checksum = sonde_hash(checksum, x->names.data, x->names.len);
    sonde_bytes_put64le(head + CHECKED, checksum);
    *out_bytes = at;
    return write_all(fd, head, HEAD_BYTES, &start) ? SONDE_OK : SONDE_ERR_SYS;
}

/* ---- reading ---- */

static bool read_all(int fd, void *to, size_t len, uint64_t at)
{
    uint8_t *out = to;

    while (len > 0) {
        ssize_t n = pread(fd, out, len, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        out += n;
        len -= (size_t)n;
        at += (uint64_t)n;
    }
    return true;
}

static bool take_row(const uint8_t row[ROW_BYTES], uint64_t names_len, symbol_index *x)
{
    const symbol_entry e = { sonde_bytes_get64le(row), get32(row + 8), get32(row + 12), row[16],
                             row[17] != 0 };

    if (e.name >= names_len || e.rank > SYMBOL_GLOBAL || row[17] > 1 || row[18] || row[19] ||
        (x->len && e.address <= x->entries[x->len - 1].address))
        return false;
    x->entries[x->len++] = e;
    return true;
}

static bool read_rows(int fd, uint32_t len, uint64_t names_len, symbol_index *x, uint64_t *checksum)
{
    uint8_t rows[ROWS_AT_ONCE * ROW_BYTES];

    while (x->len < len) {
        uint32_t n = len - x->len < ROWS_AT_ONCE ? len - x->len : ROWS_AT_ONCE;

        if (!read_all(fd, rows, (size_t)n * ROW_BYTES, HEAD_BYTES + (uint64_t)x->len * ROW_BYTES))
            return false;
        *checksum = sonde_hash(*checksum, rows, (size_t)n * ROW_BYTES);
        for (uint32_t k = 0; k < n; k++)
            if (!take_row(rows + (size_t)k * ROW_BYTES, names_len, x))
                return false;
    }
    return true;
}

static sonde_status read_body(int fd, const uint8_t head[HEAD_BYTES], symbol_index *x)
{
    uint32_t len = get32(head + 48);
    size_t names_len = (size_t)sonde_bytes_get64le(head + 56);
    uint64_t checksum = sonde_hash(0, head, CHECKED);
    uint8_t *names;

    x->entries = sonde_malloc(len * sizeof(*x->entries));
    names = sonde_buf_reserve(&x->names, names_len);
    if (!x->entries || !names)
        return SONDE_ERR_NOMEM;
    x->cap = len;
    if (!read_rows(fd, len, names_len, x, &checksum) ||
        !read_all(fd, names, names_len, HEAD_BYTES + (uint64_t)len * ROW_BYTES) ||
        names[names_len - 1] != '\0')
        return SONDE_ERR_SYNTAX;
    sonde_buf_commit(&x->names, names_len);
    checksum = sonde_hash(checksum, names, names_len);
    return checksum == sonde_bytes_get64le(head + CHECKED) ? SONDE_OK : SONDE_ERR_SYNTAX;
}

sonde_status symbol_image_read(int fd, const elf_identity *id, symbol_index *x)
{
    uint8_t head[HEAD_BYTES], want[HEAD_BYTES];
    size_t max_bytes = x->max_bytes;
    uint64_t names_len;
    struct stat st;
    sonde_status status;
    uint32_t len;

    if (fstat(fd, &st) != 0 || !read_all(fd, head, sizeof(head), 0))
        return SONDE_ERR_SYNTAX;
    len = get32(head + 48);
    names_len = sonde_bytes_get64le(head + 56);
    make_head(want, id, len, names_len);
    if (memcmp(head, want, CHECKED) != 0 || len == 0 || len > SYMBOL_INDEX_MAX || names_len == 0 ||
        names_len > SYMBOL_NAMES_MAX_BYTES ||
        (uint64_t)st.st_size != HEAD_BYTES + (uint64_t)len * ROW_BYTES + names_len)
        return SONDE_ERR_SYNTAX;
    if (len * sizeof(*x->entries) + names_len > max_bytes)
        return SONDE_ERR_TOO_BIG;
    status = read_body(fd, head, x);
    if (status != SONDE_OK) {
        symbol_index_done(x);
        symbol_index_init(x, max_bytes);
    }
    return status;
}
