/* profile_output.c - from the columns of a profile to a file. */
#include "profile_output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/profiles/export.h"
#include "agent/profiles/pprof.h"
#include "base/alloc.h"
#include "codec/compress/compress.h"
#include "flame/export.h"

#define GZIP_LEVEL 6

/* ---- formats ---- */

static const struct {
    const char *name, *ending;
    output_format format;
} formats[] = {
    { "html", ".html", OUTPUT_HTML },
    { "pprof", ".pb.gz", OUTPUT_PPROF },
    { "pprof", ".pprof", OUTPUT_PPROF },
    { "folded", ".folded", OUTPUT_FOLDED },
    { "folded", ".txt", OUTPUT_FOLDED },
    { "folded", ".collapsed", OUTPUT_FOLDED },
    { "speedscope", ".json", OUTPUT_SPEEDSCOPE },
    { "speedscope", ".speedscope", OUTPUT_SPEEDSCOPE },
};

bool output_format_of(const char *file, const char *name, output_format *out)
{
    *out = OUTPUT_TABLE;
    if (!file && !name)
        return true;
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        bool is_named = strcmp(formats[i].name, name ? name : file) == 0;
        bool ends =
            !name && sonde_str_ends(sonde_str_from(file), sonde_str_from(formats[i].ending));

        *out = formats[i].format;
        if (is_named || ends)
            return true;
    }
    return false;
}

const char *output_file_of(const char *file)
{
    return !file || strcmp(file, "folded") == 0 || strcmp(file, "speedscope") == 0 ? NULL : file;
}

/* ---- columns ---- */

/* Of two columns that tell the same in samples and in time, the one in time. */
static bool tells_something(const profile_column *c)
{
    return !sonde_str_eq(c->unit, SONDE_STR("count")) || c->kind == PROFILE_EXCEPTION ||
           c->kind == PROFILE_CUSTOM;
}

typedef struct flames {
    flame *all[PROFILE_COLUMNS_MAX];
    size_t len;
} flames;

static void flames_done(flames *fs)
{
    for (size_t i = 0; i < fs->len; i++)
        flame_close(fs->all[i]);
}

static sonde_status add_column(flames *fs, const profile *p, const profile_column *c)
{
    flame *f = NULL;
    sonde_status status = flame_open(&f);

    if (status != SONDE_OK)
        return status;
    flame_set_type(f, c->type, c->unit);
    status = flame_add_profile(f, p, c, 0);
    flame_sum(f);
    if (status == SONDE_OK && flame_total(f, 0, 0) > 0)
        fs->all[fs->len++] = f;
    else
        flame_close(f);
    return status;
}

/* Those that tell something and are not empty, or the one asked for. */
static sonde_status make_flames(const profile *p, const char *type, flames *fs)
{
    profile_column columns[PROFILE_COLUMNS_MAX];
    size_t len = profile_columns(p, columns);
    sonde_status status = SONDE_OK;
    bool is_there = type == NULL;

    for (size_t i = 0; i < len && status == SONDE_OK; i++) {
        bool is_it = type && sonde_str_eq(columns[i].type, sonde_str_from(type));

        is_there |= is_it;
        if (type ? is_it : tells_something(&columns[i]))
            status = add_column(fs, p, &columns[i]);
    }
    return status == SONDE_OK && !is_there ? SONDE_ERR_NOT_FOUND : status;
}

/* ---- tables ---- */

void output_value(sonde_buf *out, sonde_str unit, int64_t value)
{
    static const char *const sizes[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    static const char *const times[] = { "ns", "us", "ms", "s" };
    bool is_time = sonde_str_eq(unit, SONDE_STR("nanoseconds"));
    bool is_size = sonde_str_eq(unit, SONDE_STR("bytes"));
    double v = (double)value, step = is_time ? 1000 : 1024;
    size_t i = 0, last = is_time ? 3 : 4;

    if (!is_time && !is_size) {
        sonde_buf_printf(out, "%lld", (long long)value);
        return;
    }
    while (i < last && v >= step) {
        v /= step;
        i++;
    }
    sonde_buf_printf(out, "%.*f %s", i ? 2 : 0, v, is_time ? times[i] : sizes[i]);
}

/* Control characters of names do not reach a terminal. */
static void append_name(sonde_buf *out, sonde_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];

        sonde_buf_append_byte(out, c < 0x20 || c == 0x7f ? '?' : c);
    }
}

void output_function(sonde_buf *out, sonde_str name, sonde_str object)
{
    append_name(out, name);
    if (!object.len)
        return;
    sonde_buf_append_str(out, SONDE_STR("  ("));
    append_name(out, object);
    sonde_buf_append_byte(out, ')');
}

static sonde_status write_table(const flame *f, uint32_t rows, sonde_buf *out)
{
    double all = (double)flame_total(f, 0, 0);
    flame_function *functions;
    size_t len;
    sonde_status status = flame_functions(f, &functions, &len);

    if (status != SONDE_OK)
        return status;
    sonde_buf_printf(out, "%.*s: ", SONDE_STR_ARG(f->type));
    output_value(out, f->unit, flame_total(f, 0, 0));
    sonde_buf_append_str(out, SONDE_STR("\n    self   total  function\n"));
    for (size_t i = 0; i < len && i < rows && functions[i].self[0] > 0; i++) {

        sonde_buf_printf(out, "%6.1f %% %5.1f %%  ", 100 * (double)functions[i].self[0] / all,
                         100 * (double)functions[i].total[0] / all);
        output_function(out, sonde_flame_name(&f->tree, functions[i].frame),
                        sonde_flame_object(&f->tree, functions[i].frame));
        sonde_buf_append_byte(out, '\n');
    }
    sonde_free(functions);
    return SONDE_OK;
}

static sonde_status write_tables(const flames *fs, uint32_t rows, sonde_buf *out)
{
    sonde_status status = SONDE_OK;

    for (size_t i = 0; i < fs->len && status == SONDE_OK; i++) {
        if (i > 0)
            sonde_buf_append_byte(out, '\n');
        status = write_table(fs->all[i], rows, out);
    }
    if (fs->len == 0)
        sonde_buf_append_str(out, SONDE_STR("no samples\n"));
    return status;
}

/* ---- files ---- */

static sonde_status write_pprof(profile *p, const output_facts *facts, sonde_buf *out)
{
    const pprof_options o = { .start_unix_ns = facts->start_unix_ns,
                              .duration_ns = facts->duration_ns,
                              .no_timeline = true,
                              .inlines_in_one = true };
    sonde_buf plain;
    sonde_status status;

    sonde_buf_init(&plain, PPROF_MAX_BYTES);
    status = pprof_encode(p, &o, &plain);
    if (status == SONDE_OK)
        status = sonde_compress(SONDE_ENCODING_GZIP, GZIP_LEVEL, sonde_buf_str(&plain), out);
    sonde_buf_done(&plain);
    return status;
}

static void append_note(sonde_buf *note, const output_facts *facts)
{
    sonde_buf_printf(note, "%.1f s", (double)facts->duration_ns / 1e9);
}

static void write_page(const flames *fs, const output_facts *facts, sonde_buf *out)
{
    sonde_buf note;

    sonde_buf_init(&note, 256);
    append_note(&note, facts);
    export_html(
        (const flame *const *)fs->all, fs->len,
        &(export_page){ .title = sonde_str_from(facts->title), .note = sonde_buf_str(&note) }, out);
    sonde_buf_done(&note);
}

static void write_speedscope(const flames *fs, const output_facts *facts, sonde_buf *out)
{
    sonde_flame_column columns[PROFILE_COLUMNS_MAX];

    for (size_t i = 0; i < fs->len; i++)
        columns[i] = (sonde_flame_column){ .tree = &fs->all[i]->tree,
                                           .type = fs->all[i]->type,
                                           .unit = fs->all[i]->unit };
    sonde_flame_speedscope(columns, fs->len, 0, sonde_str_from(facts->title), out);
}

/* Collapsed stacks have one column: samples, as those who read them expect. */
static sonde_status write_folded(const profile *p, const output_facts *facts, sonde_buf *out)
{
    static const char *const usual[] = { "cpu-samples", "wall-samples", "alloc-space",
                                         "inuse-space", "lock-acquire" };
    flames fs = { .len = 0 };
    sonde_status status = facts->type ? make_flames(p, facts->type, &fs) : SONDE_OK;

    for (size_t i = 0; !facts->type && fs.len == 0 && i < sizeof(usual) / sizeof(usual[0]); i++) {
        status = make_flames(p, usual[i], &fs);
        if (status == SONDE_ERR_NOT_FOUND)
            status = SONDE_OK;
    }
    if (fs.len)
        sonde_flame_folded(&fs.all[0]->tree, 1, out);
    flames_done(&fs);
    return status;
}

sonde_status output_write(output_format format, profile *p, const output_facts *facts,
                          sonde_buf *out)
{
    flames fs = { .len = 0 };
    sonde_status status;

    if (format == OUTPUT_PPROF)
        return write_pprof(p, facts, out);
    if (format == OUTPUT_FOLDED)
        return write_folded(p, facts, out);
    status = make_flames(p, facts->type, &fs);
    if (status == SONDE_OK && format == OUTPUT_SPEEDSCOPE)
        write_speedscope(&fs, facts, out);
    else if (status == SONDE_OK && format == OUTPUT_HTML)
        write_page(&fs, facts, out);
    else if (status == SONDE_OK)
        status = write_tables(&fs, facts->rows, out);
    flames_done(&fs);
    return status != SONDE_OK ? status : out->status;
}

static bool write_all(int fd, sonde_str text)
{
    while (text.len) {
        ssize_t n = write(fd, text.ptr, text.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text = sonde_str_sub(text, (size_t)n, text.len);
    }
    return true;
}

bool output_is_possible(const char *file)
{
    char folder[PATH_MAX];
    char *slash;

    if (!file || strcmp(file, "-") == 0 || access(file, W_OK) == 0)
        return true;
    if (errno != ENOENT)
        return false;
    (void)snprintf(folder, sizeof(folder), "%s", file);
    slash = strrchr(folder, '/');
    if (slash)
        slash[1] = '\0';
    return access(slash ? folder : ".", W_OK | X_OK) == 0;
}

sonde_status output_save(const char *file, sonde_str content)
{
    int fd;
    bool ok;

    if (!file || strcmp(file, "-") == 0)
        return write_all(STDOUT_FILENO, content) ? SONDE_OK : SONDE_ERR_SYS;
    fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return SONDE_ERR_SYS;
    ok = write_all(fd, content);
    return close(fd) == 0 && ok ? SONDE_OK : SONDE_ERR_SYS;
}
