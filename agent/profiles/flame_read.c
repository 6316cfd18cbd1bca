/* flame_read.c - which kind of file it is; collapsed stacks. */
#include "flame_read.h"

#include <string.h>

#include "base/parse.h"
#include "codec/compress/compress.h"
#include "flame/export.h"

/* ---- collapsed stacks ---- */

/* "memcpy", "add_[i]", "sys_read_[k]": what sonde_flame_folded() and other tools put behind a name is not part of it. */
static uint32_t read_name(flame *f, uint32_t node, sonde_str name)
{
    bool is_inlined = sonde_str_ends(name, SONDE_STR(SONDE_FLAME_MARK_INLINED));
    bool is_kernel = sonde_str_ends(name, SONDE_STR(SONDE_FLAME_MARK_KERNEL));

    if (is_inlined || is_kernel)
        name.len -= sizeof(SONDE_FLAME_MARK_INLINED) - 1;
    return flame_child(f, node, name, is_kernel ? SONDE_STR("[kernel]") : SONDE_STR(""),
                       is_inlined);
}

/* One stack and its value; false: it is none. */
static bool read_line(flame *f, sonde_str line, unsigned side)
{
    const char *space = memrchr(line.ptr, ' ', line.len);
    uint32_t node = 0, depth = 0;
    uint64_t value;
    sonde_str stack;

    if (!space)
        return false;
    stack = sonde_str_sub(line, 0, (size_t)(space - line.ptr));
    if (sonde_parse_u64(sonde_str_sub(line, stack.len + 1, line.len), &value) != SONDE_OK ||
        value > INT64_MAX || stack.len == 0)
        return false;
    while (stack.len && depth++ < FLAME_READ_DEPTH_MAX)
        node = read_name(f, node, sonde_str_cut(&stack, ';'));
    flame_count(f, node, side, (int64_t)value, (int64_t)value);
    return true;
}

static sonde_status read_folded(flame *f, sonde_str text, unsigned side)
{
    bool is_empty = true;

    while (text.len) {
        sonde_str line = sonde_str_cut(&text, '\n');

        if (sonde_str_ends(line, SONDE_STR("\r")))
            line.len--;
        if (line.len && !read_line(f, line, side))
            return SONDE_ERR_SYNTAX;
        is_empty &= line.len == 0;
    }
    flame_set_type(f, SONDE_STR("samples"), SONDE_STR("count"));
    return is_empty ? SONDE_ERR_EOF : SONDE_OK;
}

/* ---- any ---- */

static bool is_text(sonde_str file)
{
    size_t look = file.len < 512 ? file.len : 512;

    for (size_t i = 0; i < look; i++)
        if ((unsigned char)file.ptr[i] < 0x20 && !memchr("\n\r\t", file.ptr[i], 3))
            return false;
    return true;
}

static sonde_status read_plain(flame *f, sonde_str file, sonde_str type, unsigned side)
{
    if (file.len == 0)
        return SONDE_ERR_EOF;
    return is_text(file) ? read_folded(f, file, side) : flame_read_pprof(f, file, type, side);
}

sonde_status flame_read(flame *f, sonde_str file, sonde_str type, unsigned side)
{
    bool is_gzip = sonde_str_starts(file, SONDE_STR("\x1f\x8b"));
    bool is_zstd = sonde_str_starts(file, SONDE_STR("\x28\xb5\x2f\xfd"));
    sonde_status status;
    sonde_buf plain;

    if (!is_gzip && !is_zstd)
        return read_plain(f, file, type, side);
    sonde_buf_init(&plain, FLAME_READ_MAX_BYTES);
    status = sonde_decompress(is_gzip ? SONDE_ENCODING_GZIP : SONDE_ENCODING_ZSTD, file, &plain);
    if (status == SONDE_OK)
        status = read_plain(f, sonde_buf_str(&plain), type, side);
    sonde_buf_done(&plain);
    return status;
}
