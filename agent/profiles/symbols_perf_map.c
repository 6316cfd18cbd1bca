/* symbols_perf_map.c - names of generated code, as runtimes write them for perf: "START SIZE NAME" lines, in hex.
 *
 * The file is the process's own and grows while it runs.  Lines that are not of the form are passed over.
 */
#include "symbols_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/hex.h"

#define READ_BYTES 65536

/* One line without its end; nothing that was understood: nothing added. */
static sonde_status take_line(sonde_str line, symbol_index *x)
{
    sonde_str start = sonde_str_cut(&line, ' '), size = sonde_str_cut(&line, ' ');
    uint64_t from, len;

    if (sonde_str_starts(start, SONDE_STR("0x")))
        start = sonde_str_sub(start, 2, start.len);
    if (sonde_str_starts(size, SONDE_STR("0x")))
        size = sonde_str_sub(size, 2, size.len);
    if (sonde_hex_parse_u64(start, 1, &from) != SONDE_OK ||
        sonde_hex_parse_u64(size, 1, &len) != SONDE_OK || len == 0)
        return SONDE_OK;
    return symbol_index_add(x, sonde_str_trim(line), from, len, SYMBOL_GLOBAL, true);
}

/* Whole lines of what was read; the rest is moved to the front. */
static sonde_status take_lines(char *text, size_t *len, bool at_end, symbol_index *x)
{
    sonde_str rest = { text, *len };
    sonde_status status = SONDE_OK;
    const char *end;

    while (status == SONDE_OK && rest.len && (end = memchr(rest.ptr, '\n', rest.len)) != NULL) {
        status = take_line((sonde_str){ rest.ptr, (size_t)(end - rest.ptr) }, x);
        rest = sonde_str_sub(rest, (size_t)(end - rest.ptr) + 1, rest.len);
    }
    if (status == SONDE_OK && at_end && rest.len)
        status = take_line(rest, x);
    if (rest.len == READ_BYTES)
        rest.len = 0; /* no line is that long */
    memmove(text, rest.ptr, rest.len);
    *len = rest.len;
    return status;
}

sonde_status perf_map_read(int fd, symbol_index *x)
{
    char text[READ_BYTES];
    size_t len = 0;
    uint64_t total = 0;
    sonde_status status = SONDE_OK;
    ssize_t n = 1;

    while (status == SONDE_OK && n > 0 && x->len < PERF_MAP_SYMBOLS_MAX &&
           total < PERF_MAP_MAX_BYTES) {
        n = pread(fd, text + len, sizeof(text) - len, (off_t)total);
        if (n < 0 && errno == EINTR) {
            n = 1;
            continue;
        }
        if (n < 0)
            return SONDE_ERR_SYS;
        total += (uint64_t)n;
        len += (size_t)n;
        status = take_lines(text, &len, n == 0, x);
    }
    return status;
}
