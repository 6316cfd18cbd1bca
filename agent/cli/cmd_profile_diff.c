/* cmd_profile_diff.c - `sonde profile diff`: what changed between two profiles. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/profiles/export.h"
#include "agent/profiles/flame_read.h"
#include "base/alloc.h"
#include "base/parse.h"
#include "cli.h"
#include "flame/export.h"
#include "profile_output.h"

#define ROWS      20
#define ROWS_MAX  100000
#define NOISE_Z   2.0
#define READ_STEP (64u * 1024)

static const char help[] =
    "Usage: sonde profile diff [OPTION]... BEFORE AFTER\n"
    "\n"
    "Tells which functions' share changed between two profiles: files of pprof (ours, Go's, "
    "gperftools' new ones, ...)\n"
    "or collapsed stacks, compressed or not. Shares are compared, so the two need not be of the "
    "same length.\n"
    "The column z says how many standard deviations a change is; ~ marks those that are noise "
    "(below 2),\n"
    "- that a file does not say how many samples there were.\n"
    "\n"
    "  -o, --output FILE    .html: a flame graph of the change; .folded: a line for each stack "
    "with both values,\n"
    "                       \"folded\": the same to standard output\n"
    "  -f, --format NAME    html or folded, whatever the file is called\n"
    "  -t, --type TYPE      compare this (cpu-time, or what the files are made for)\n"
    "  -n, --rows N         so many functions (20)\n"
    "\n"
    "  sonde profile diff -o change.html before.pb.gz after.pb.gz\n";

enum { OPT_OUTPUT, OPT_FORMAT, OPT_TYPE, OPT_ROWS, OPT_FILES };

static const cli_option options[] = {
    [OPT_OUTPUT] = { 'o', "output", NULL, NULL },
    [OPT_FORMAT] = { 'f', "format", NULL, NULL },
    [OPT_TYPE] = { 't', "type", NULL, NULL },
    [OPT_ROWS] = { 'n', "rows", NULL, NULL },
    [OPT_FILES] = { 0, CLI_COMMAND, NULL, "BEFORE AFTER" },
};

typedef struct request {
    const command *self;
    const cli_line *line;
    output_format format;
    uint64_t rows;
} request;

/* ---- files ---- */

static bool read_all(int fd, sonde_buf *out)
{
    for (;;) {
        uint8_t *to = sonde_buf_reserve(out, READ_STEP);
        ssize_t n = to ? read(fd, to, READ_STEP) : -1;

        if (n < 0 && to && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        sonde_buf_commit(out, (size_t)n);
    }
}

static bool add_file(const request *r, flame *f, const char *file, unsigned side)
{
    sonde_str type = sonde_str_from(r->line->values[OPT_TYPE]);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    sonde_status status;
    sonde_buf content;
    bool ok;

    if (fd < 0) {
        (void)cli_fail(r->self, "%s: %s", file, strerror(errno));
        return false;
    }
    sonde_buf_init(&content, FLAME_READ_MAX_BYTES);
    ok = read_all(fd, &content);
    status = ok                           ? flame_read(f, sonde_buf_str(&content), type, side)
             : content.status != SONDE_OK ? content.status
                                          : SONDE_ERR_SYS;
    sonde_buf_done(&content);
    (void)close(fd);
    if (status == SONDE_ERR_NOT_FOUND)
        (void)cli_fail(r->self, "%s: --type %s: the profile has none of it", file, type.ptr);
    else if (status == SONDE_ERR_SYNTAX || status == SONDE_ERR_EOF)
        (void)cli_fail(r->self, "%s: neither a file of pprof nor collapsed stacks, or damaged",
                       file);
    else if (status != SONDE_OK)
        (void)cli_fail(r->self, "%s: %s", file, sonde_status_str(status));
    return status == SONDE_OK;
}

/* Whether it says in which libraries functions are; collapsed stacks do not. */
static bool has_objects(const flame *f, unsigned side)
{
    for (uint32_t i = 1; i < f->tree.nodes_len; i++) {
        sonde_str object = sonde_flame_object(&f->tree, f->tree.nodes[i].frame);

        if (flame_total(f, i, side) && object.len && !sonde_str_eq(object, SONDE_STR("[kernel]")))
            return true;
    }
    return false;
}

static bool are_of_one_kind(const request *r, const flame *f)
{
    bool have[FLAME_SIDES] = { has_objects(f, 0), has_objects(f, 1) };

    if (have[0] == have[1] || !flame_total(f, 0, 0) || !flame_total(f, 0, 1))
        return true;
    (void)cli_fail(r->self,
                   "%s does not say in which libraries functions are, as collapsed stacks do not: "
                   "compare files of one kind",
                   r->line->rest[have[0]]);
    return false;
}

/* ---- the table ---- */

/* Of a side's total, in percent. */
static double share(const flame *f, const flame_function *fn, unsigned side)
{
    int64_t all = flame_total(f, 0, side);

    return all ? 100 * (double)fn->self[side] / (double)all : 0;
}

static double points(const flame *f, const flame_function *fn)
{
    return share(f, fn, 1) - share(f, fn, 0);
}

typedef struct mover {
    const flame_function *fn;
    double points;
} mover;

static int by_change(const void *a, const void *b)
{
    double x = fabs(((const mover *)a)->points), y = fabs(((const mover *)b)->points);

    if (x != y)
        return x < y ? 1 : -1;
    return ((const mover *)a)->fn->frame < ((const mover *)b)->fn->frame ? -1 : 1;
}

static void write_z(const flame *f, const flame_function *fn, sonde_buf *out)
{
    double z;

    if (flame_change_z(f, fn, &z))
        sonde_buf_printf(out, "%7.1f %c  ", z, fabs(z) < NOISE_Z ? '~' : ' ');
    else
        sonde_buf_append_str(out, SONDE_STR("      -    "));
}

static void write_mover(const flame *f, const mover *m, sonde_buf *out)
{
    sonde_buf_printf(out, "%6.1f %% %6.1f %%  %+6.1f", share(f, m->fn, 0), share(f, m->fn, 1),
                     m->points);
    write_z(f, m->fn, out);
    output_function(out, sonde_flame_name(&f->tree, m->fn->frame),
                    sonde_flame_object(&f->tree, m->fn->frame));
    sonde_buf_append_byte(out, '\n');
}

static sonde_status write_movers(const flame *f, uint64_t rows, sonde_buf *out)
{
    flame_function *functions = NULL;
    size_t len = 0;
    sonde_status status = flame_functions(f, &functions, &len);
    mover *movers = status == SONDE_OK ? sonde_calloc(len + 1, sizeof(*movers)) : NULL;

    for (size_t i = 0; movers && i < len; i++)
        movers[i] = (mover){ &functions[i], points(f, &functions[i]) };
    if (movers && len)
        qsort(movers, len, sizeof(*movers), by_change);
    for (size_t i = 0; movers && i < len && i < rows && movers[i].points != 0; i++)
        write_mover(f, &movers[i], out);
    sonde_free(movers);
    sonde_free(functions);
    return status == SONDE_OK && !movers ? SONDE_ERR_NOMEM : status;
}

static sonde_status write_table(const flame *f, uint64_t rows, sonde_buf *out)
{
    sonde_buf_printf(out, "%.*s: before ", SONDE_STR_ARG(f->type));
    output_value(out, f->unit, flame_total(f, 0, 0));
    sonde_buf_append_str(out, SONDE_STR(", after "));
    output_value(out, f->unit, flame_total(f, 0, 1));
    sonde_buf_append_str(out, SONDE_STR("\n  before    after  points      z    function\n"));
    return write_movers(f, rows, out);
}

/* ---- all of it ---- */

static sonde_status write_difference(const request *r, const flame *f, sonde_buf *out)
{
    sonde_buf title;

    if (r->format == OUTPUT_TABLE)
        return write_table(f, r->rows, out);
    if (r->format == OUTPUT_FOLDED) {
        sonde_flame_folded(&f->tree, FLAME_SIDES, out);
        return out->status;
    }
    sonde_buf_init(&title, 4 * PATH_MAX);
    sonde_buf_printf(&title, "%s \xe2\x86\x92 %s", r->line->rest[0], r->line->rest[1]);
    export_html(&f, 1, &(export_page){ .title = sonde_buf_str(&title), .compared = true }, out);
    sonde_buf_done(&title);
    return out->status;
}

static int write_out(const request *r, const flame *f, sonde_buf *out)
{
    const char *file = output_file_of(r->line->values[OPT_OUTPUT]);
    sonde_status status;

    if (!are_of_one_kind(r, f))
        return EXIT_FAILED;
    status = write_difference(r, f, out);
    if (status != SONDE_OK)
        return cli_fail(r->self, "%s", sonde_status_str(status));
    if (output_save(file, sonde_buf_str(out)) != SONDE_OK)
        return cli_fail(r->self, "%s: %s", file ? file : "standard output", strerror(errno));
    return EXIT_DONE;
}

static int compare(const request *r)
{
    flame *f = NULL;
    sonde_status status = flame_open(&f);
    sonde_buf out;
    int code = EXIT_FAILED;

    sonde_buf_init(&out, OUTPUT_MAX_BYTES);
    if (status != SONDE_OK) {
        code = cli_fail(r->self, "%s", sonde_status_str(status));
    } else if (add_file(r, f, r->line->rest[0], 0) && add_file(r, f, r->line->rest[1], 1)) {
        flame_sum(f);
        code = write_out(r, f, &out);
    }
    sonde_buf_done(&out);
    flame_close(f);
    return code;
}

static bool read_request(request *r)
{
    const cli_line *line = r->line;

    r->rows = ROWS;
    if (!line->rest[0] || !line->rest[1] || line->rest[2])
        (void)cli_fail(r->self, "expected two files: sonde profile diff BEFORE AFTER");
    else if (!output_format_of(line->values[OPT_OUTPUT], line->values[OPT_FORMAT], &r->format) ||
             r->format == OUTPUT_PPROF || r->format == OUTPUT_SPEEDSCOPE)
        (void)cli_fail(r->self, "in which format? Name the file .html or .folded, or say --format "
                                "with html or folded");
    else if (line->values[OPT_ROWS] &&
             (sonde_parse_u64(sonde_str_from(line->values[OPT_ROWS]), &r->rows) != SONDE_OK ||
              r->rows > ROWS_MAX))
        (void)cli_fail(r->self, "--rows %s: expected a number", line->values[OPT_ROWS]);
    else
        return true;
    return false;
}

static int run(const command *self, int argc, char **argv)
{
    cli_line line;
    request r = { .self = self, .line = &line };
    int code;

    if (!cli_parse(self, argc, argv, &line, &code))
        return code;
    code = read_request(&r) ? compare(&r) : EXIT_USAGE;
    cli_line_done(&line);
    return code;
}

const command profile_diff_command = { .name = "profile diff",
                                       .summary = "what changed between two profiles",
                                       .help = help,
                                       CLI_OPTIONS(options),
                                       .run = run };
