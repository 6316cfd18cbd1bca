/* fuzz_symbol_image.c - property: whatever stands in a file of an index, with a checksum that is right, it is refused or
 * becomes an index every address can be looked up in, which is written as it was read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/profiles/symbols_disk.h"
#include "base/digest.h"
#include "codec/bytes.h"

#define HEAD_BYTES 72
#define CHECKED    64
#define ROW_BYTES  20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const elf_identity id = { .build_id = "fuzz", .build_id_len = 4 };

/* The checksum as writer and reader make it: head, 2048 rows at a time, names. */
static uint64_t checksum(const uint8_t *file, size_t size)
{
    uint64_t sum = sonde_hash(0, file, CHECKED);
    size_t rows = (size_t)file[48] | (size_t)file[49] << 8 | (size_t)file[50] << 16,
           at = HEAD_BYTES;

    while (rows > 0 && at < size) {
        size_t n = rows < 2048 ? rows : 2048;
        size_t len = n * ROW_BYTES < size - at ? n * ROW_BYTES : size - at;

        sum = sonde_hash(sum, file + at, len);
        at += len;
        rows -= n;
    }
    return at < size ? sonde_hash(sum, file + at, size - at) : sum;
}

static void look_everywhere(const symbol_index *x)
{
    for (uint32_t i = 0; i < x->len; i++) {
        const symbol_entry *e = symbol_index_find(x, x->entries[i].address);

        if (e && strlen(symbol_index_name(x, e)) >= x->names.len)
            abort();
    }
    (void)symbol_index_find(x, 0);
    (void)symbol_index_find(x, UINT64_MAX);
}

static void write_again(const symbol_index *x, const uint8_t *file, size_t size)
{
    uint8_t *again = malloc(size);
    int fd = memfd_create("again", MFD_CLOEXEC);
    uint64_t len;

    if (fd < 0 || !again || symbol_image_write(fd, &id, x, &len) != SONDE_OK || len != size ||
        pread(fd, again, size, 0) != (ssize_t)size || memcmp(again, file, size) != 0)
        abort();
    (void)close(fd);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    uint8_t *file = malloc(size + 1);
    symbol_index x;

    if (fd < 0 || !file)
        abort();
    if (size)
        memcpy(file, data, size);
    if (size >= HEAD_BYTES)
        sonde_bytes_put64le(file + CHECKED, checksum(file, size));
    if (write(fd, file, size) != (ssize_t)size)
        abort();
    symbol_index_init(&x, 1u << 20);
    if (symbol_image_read(fd, &id, &x) == SONDE_OK) {
        look_everywhere(&x);
        write_again(&x, file, size);
    } else if (x.len || x.entries || x.names.len) {
        abort();
    }
    symbol_index_done(&x);
    free(file);
    (void)close(fd);
    return 0;
}
