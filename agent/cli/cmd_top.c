/* cmd_top.c - `sonde top`: the functions of a program, every second. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "cli.h"
#include "profile_output.h"
#include "profiled.h"
#include "screen.h"
#include "top_table.h"

#define BATCH_MS     500
#define KEY_NS       (UINT64_C(100) * SONDE_NS_PER_MS)
#define ROWS         20
#define ROWS_MAX     10000
#define INTERVAL_MAX 3600
#define PAGE_MAX     (4u * 1024 * 1024)
#define AROUND_ROWS  3 /* lines of a page beside the rows */

static const char help[] =
    "Usage: sonde top [OPTION]... -- COMMAND [ARGUMENT]...\n"
    "       sonde top [OPTION]... --pid PID\n"
    "\n"
    "Runs COMMAND and shows every second which of its functions compute, allocate and wait. What "
    "the program prints\n"
    "is thrown away unless --output says where to keep it. On anything but a terminal: a table "
    "every second.\n"
    "\n"
    "  -p, --pid PID        of a process that runs, as long as it is looked at; it runs on\n"
    "      --trust-seccomp  also of one that filters its system calls: its filter allows what the "
    "profiler needs\n"
    "  -i, --interval S     every so many seconds (1)\n"
    "      --once           one table, of the first interval with samples, then ask the program to "
    "end\n"
    "  -n, --rows N         so many rows (20, or as the terminal is high)\n"
    "  -o, --output FILE    what the program prints goes there\n"
    "  -F, --frequency N    CPU samples for a second of CPU time (99)\n"
    "      --no-inlines     do not look for inlined functions: faster with large programs\n"
    "\n"
    "Keys: c w a h l  by CPU, wall clock, allocation, heap, waits for locks\n"
    "      f t s      functions, threads, endpoints of requests\n"
    "      p          pause; again: go on\n"
    "      q          ask the program to end; with --pid: end looking\n"
    "\n"
    "self and total: a function's share without and with what it calls. The exit status is the "
    "program's.\n";

enum {
    OPT_PID,
    OPT_INTERVAL,
    OPT_ONCE,
    OPT_ROWS,
    OPT_OUTPUT,
    OPT_FREQUENCY,
    OPT_NO_INLINES,
    OPT_TRUST_SECCOMP,
    OPT_COMMAND
};

static const cli_option options[] = {
    [OPT_PID] = { 'p', "pid", NULL, NULL },
    [OPT_INTERVAL] = { 'i', "interval", NULL, NULL },
    [OPT_ONCE] = { 0, "once", NULL, "1" },
    [OPT_ROWS] = { 'n', "rows", NULL, NULL },
    [OPT_OUTPUT] = { 'o', "output", NULL, NULL },
    [OPT_FREQUENCY] = { 'F', "frequency", NULL, NULL },
    [OPT_NO_INLINES] = { 0, "no-inlines", NULL, "1" },
    [OPT_TRUST_SECCOMP] = { 0, "trust-seccomp", NULL, "1" },
    [OPT_COMMAND] = { 0, CLI_COMMAND, NULL, "COMMAND" },
};

typedef struct top {
    const command *self;
    const cli_line *line;
    uint64_t interval_ns, rows;
    profiled program;
    screen screen;
    top_kind kind;
    top_view view;
    bool is_paused, wants_end;
    profile *last;    /* what is shown; NULL: nothing yet */
    double seconds;   /* it is of */
    uint64_t last_ns; /* when it was taken */
} top;

/* ---- a page ---- */

static const char *const view_names[] = { "functions", "threads", "endpoints" };

/* What matters most comes first: a narrow terminal shows the beginning. */
static void write_head(const top *t, const top_table *table, const top_layout *layout,
                       sonde_buf *out)
{
    bool is_size = t->kind == TOP_ALLOC || t->kind == TOP_LIVE;
    collector_counters n = collector_read(t->program.collector);

    sonde_buf_printf(out, "%s by %s: ", view_names[t->view], top_kind_names[t->kind]);
    output_value(out, is_size ? SONDE_STR("bytes") : SONDE_STR("nanoseconds"), table->all[t->kind]);
    sonde_buf_printf(out, " in %.1f s%s", t->seconds, t->is_paused ? "  PAUSED" : "");
    if (n.processes > 1)
        sonde_buf_printf(out, ", %llu processes", (unsigned long long)n.processes);
    sonde_buf_printf(out, "  %s", t->program.name);
    if (layout->columns)
        out->len = sonde_utf8_cut(sonde_buf_str(out), layout->columns);
    sonde_buf_append_str(out, sonde_str_from(layout->newline));
}

static sonde_status write_page(const top *t, const top_layout *layout, sonde_buf *out)
{
    top_table table;
    sonde_status status;

    top_table_init(&table);
    status = top_table_make(&table, t->last, t->view, t->kind);
    if (status == SONDE_OK) {
        write_head(t, &table, layout, out);
        top_table_write(&table, layout, out);
    }
    top_table_done(&table);
    return status;
}

static void show(const top *t)
{
    top_layout layout = {
        .kind = t->kind, .seconds = t->seconds, .rows = (uint32_t)t->rows, .newline = "\n"
    };
    sonde_buf page;
    uint32_t rows;

    if (!t->last)
        return;
    if (t->screen.is_open) {
        screen_size(&rows, &layout.columns);
        rows = rows > AROUND_ROWS ? rows - AROUND_ROWS : 1;
        layout.rows = !t->line->values[OPT_ROWS] || rows < layout.rows ? rows : layout.rows;
        layout.colour = cli_in_colour();
        layout.newline = SCREEN_NEWLINE;
    }
    sonde_buf_init(&page, PAGE_MAX);
    if (write_page(t, &layout, &page) != SONDE_OK)
        (void)cli_fail(t->self, "%s", sonde_status_str(SONDE_ERR_NOMEM));
    else if (t->screen.is_open)
        screen_show(sonde_buf_str(&page));
    else
        (void)!output_save(NULL, sonde_buf_str(&page));
    sonde_buf_done(&page);
}

/* What came in since the last time. */
static void take(top *t)
{
    uint64_t now = sonde_mono_ns();
    profile *p = NULL;

    if (collector_take(t->program.collector, &p) != SONDE_OK)
        return;
    profile_close(t->last);
    t->last = p;
    t->seconds = (double)(now - t->last_ns) / 1e9;
    t->last_ns = now;
}

/* ---- keys ---- */

/* True: it means something. */
static bool obey(top *t, char key)
{
    static const char kinds[] = "cwahl", views[] = "fts";
    const char *kind = key ? strchr(kinds, key) : NULL, *view = key ? strchr(views, key) : NULL;

    if (kind)
        t->kind = (top_kind)(kind - kinds);
    else if (view)
        t->view = (top_view)(view - views);
    else if (key == 'p' || key == ' ')
        t->is_paused = !t->is_paused;
    else if (key == 'q')
        t->wants_end = true;
    else
        return key == 12; /* Ctrl-L */
    return true;
}

static bool goes_on(const top *t)
{
    return !t->program.is_over && !t->program.interrupted && !t->wants_end;
}

static void wait_and_obey(top *t, uint64_t until)
{
    while (goes_on(t) && sonde_mono_ns() < until) {
        uint64_t look = sonde_deadline(sonde_mono_ns(), KEY_NS);

        profiled_wait(&t->program, t->screen.is_open && look < until ? look : until);
        while (t->screen.is_open && obey(t, screen_key()))
            show(t);
    }
}

/* ---- all of it ---- */

static bool has_samples(const top *t)
{
    return t->last && t->last->enabled[PROFILE_CPU];
}

static void watch(top *t)
{
    t->last_ns = sonde_mono_ns();
    while (goes_on(t)) {
        wait_and_obey(t, sonde_deadline(sonde_mono_ns(), t->interval_ns));
        if (t->is_paused || t->wants_end)
            continue;
        take(t);
        if (t->line->values[OPT_ONCE] && !has_samples(t))
            continue; /* it has not begun to work */
        show(t);
        t->wants_end |= t->line->values[OPT_ONCE] != NULL;
    }
}

static int run_top(top *t)
{
    const profiled_options o = { .argv = t->line->rest,
                                 .pid = t->line->values[OPT_PID],
                                 .trusts_seccomp = t->line->values[OPT_TRUST_SECCOMP] != NULL,
                                 .frequency = t->line->values[OPT_FREQUENCY],
                                 .batch_ms = BATCH_MS,
                                 .prints_to = t->line->values[OPT_OUTPUT]
                                                  ? t->line->values[OPT_OUTPUT]
                                                  : "/dev/null",
                                 .inlines = !t->line->values[OPT_NO_INLINES] };
    int code;

    if (!profiled_begin(t->self, &o, &t->program, &code))
        return code;
    (void)(!t->line->values[OPT_ONCE] && screen_open(&t->screen));
    watch(t);
    screen_close(&t->screen);
    if (!t->program.is_over)
        profiled_stop(&t->program, 0);
    profile_close(t->last); /* it has objects of the collector's */
    profiled_end(&t->program);
    return profiled_exit_code(&t->program);
}

static bool read_number(const top *t, size_t option, uint64_t max, uint64_t *out)
{
    const char *text = t->line->values[option];

    if (!text ||
        (sonde_parse_u64(sonde_str_from(text), out) == SONDE_OK && *out >= 1 && *out <= max))
        return true;
    (void)cli_fail(t->self, "--%s %s: expected a number from 1 to %llu", options[option].name, text,
                   (unsigned long long)max);
    return false;
}

static int run(const command *self, int argc, char **argv)
{
    cli_line line;
    top t = { .self = self, .line = &line, .rows = ROWS };
    uint64_t seconds = 1, frequency;
    int code;

    sonde_log_set_level(SONDE_LOG_ERROR);
    if (!cli_parse(self, argc, argv, &line, &code))
        return code;
    code = EXIT_USAGE;
    if (!line.rest[0] == !line.values[OPT_PID])
        (void)cli_fail(self, line.rest[0]
                                 ? "either --pid or a program, not both"
                                 : "there is no program: sonde top -- COMMAND, or --pid PID");
    else if (read_number(&t, OPT_INTERVAL, INTERVAL_MAX, &seconds) &&
             read_number(&t, OPT_ROWS, ROWS_MAX, &t.rows) &&
             read_number(&t, OPT_FREQUENCY, 1000, &frequency)) {
        t.interval_ns = sonde_s_to_ns(seconds);
        code = run_top(&t);
    }
    cli_line_done(&line);
    return code;
}

const command top_command = { .name = "top",
                              .summary = "run a program and watch its functions",
                              .help = help,
                              CLI_OPTIONS(options),
                              .run = run };
