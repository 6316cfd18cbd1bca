/* symbol_lookup.c - asks the agent's symbolizer what addr2line is asked: addresses on standard input, in hex, a line
 * each; an answer each, "name TAB file TAB line" for each function, innermost first, joined by TABs.
 *
 *   symbol_lookup [--lines] [--raw] [--debug-dir DIR] [--proc DIR] [--vdso] [--map-pid PID] [--pid PID] [--map START-END]
 *                 [--build-id HEX] [--disk DIR] [--disk-bytes N] [--debuginfod URLS] [--timeout MS] [--status] FILE
 *
 *   --debuginfod  asks the servers, waits for their answers, then looks the addresses up
 *   --status      the symbolizer's counters, as JSON, in a last line */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/profiles/spb.h"
#include "agent/profiles/symbols.h"
#include "agent/profiles/symbols_disk.h"
#include "agent/profiles/symbols_fetch.h"
#include "base/hex.h"
#include "base/parse.h"
#include "base/str.h"

typedef struct arguments {
    bool raw; /* names as the file has them */
    bool status;
    const char *disk;
    uint64_t disk_bytes;
    symbols_fetch_options fetch;
    uint8_t build_id[SYMBOLS_BUILD_ID_MAX];
    symbols_options options;
    symbol_request request;
} arguments;

static bool read_build_id(sonde_str hex, arguments *a)
{
    a->request.build_id = a->build_id;
    a->request.build_id_len = hex.len / 2;
    for (size_t i = 0; i < hex.len / 2; i++) {
        uint64_t byte;

        if (i == sizeof(a->build_id) ||
            sonde_hex_parse_u64(sonde_str_sub(hex, 2 * i, 2), 1, &byte) != SONDE_OK)
            return false;
        a->build_id[i] = (uint8_t)byte;
    }
    return true;
}

/* Those with a value. */
static bool read_option(const char *name, const char *text, arguments *a)
{
    sonde_str value = sonde_str_from(text), end = value;
    uint64_t number = 0;

    if (strcmp(name, "--debug-dir") == 0) {
        a->options.debug_dir = text;
    } else if (strcmp(name, "--proc") == 0) {
        a->options.proc = text;
    } else if (strcmp(name, "--disk") == 0) {
        a->disk = text;
    } else if (strcmp(name, "--debuginfod") == 0) {
        a->fetch.urls = value;
    } else if (strcmp(name, "--build-id") == 0) {
        return read_build_id(value, a);
    } else if (strcmp(name, "--map") == 0) {
        if (sonde_hex_parse_u64(sonde_str_cut(&end, '-'), 1, &a->request.start) != SONDE_OK ||
            sonde_hex_parse_u64(end, 1, &number) != SONDE_OK)
            return false;
        a->request.length = number - a->request.start;
    } else if (strcmp(name, "--map-pid") == 0) {
        if (sonde_hex_parse_u64(value, 1, &number) != SONDE_OK)
            return false;
        a->request.map_pid = (uint32_t)number;
        a->request.pid = 1; /* of the --proc folder */
    } else if (sonde_parse_u64(value, &number) != SONDE_OK) {
        return false;
    } else if (strcmp(name, "--pid") == 0) {
        a->request.pid = (pid_t)number;
    } else if (strcmp(name, "--disk-bytes") == 0) {
        a->disk_bytes = number;
    } else if (strcmp(name, "--timeout") == 0) {
        a->fetch.timeout_ms = (unsigned)number;
    } else {
        return false;
    }
    return true;
}

static bool read_arguments(int argc, char **argv, arguments *a)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--lines") == 0)
            a->options.lines = true;
        else if (strcmp(argv[i], "--raw") == 0)
            a->raw = true;
        else if (strcmp(argv[i], "--status") == 0)
            a->status = true;
        else if (strcmp(argv[i], "--vdso") == 0)
            a->request.flags = SPB_MAPPING_VDSO;
        else if (strncmp(argv[i], "--", 2) != 0)
            a->request.path = sonde_str_from(argv[i]);
        else if (i + 1 == argc || !read_option(argv[i], argv[i + 1], a))
            return false;
        else
            i++;
    }
    return true;
}

static void print_answer(const symbol_line *lines, size_t len, bool raw)
{
    for (size_t i = 0; i < len; i++) {
        sonde_str name = raw && lines[i].system_name.len ? lines[i].system_name : lines[i].name;

        (void)printf("%s%.*s\t%.*s\t%" PRIu32, i ? "\t" : "", SONDE_STR_ARG(name),
                     SONDE_STR_ARG(lines[i].file), lines[i].line);
    }
    (void)printf("\n");
}

/* The first question makes the symbolizer ask others; their answers are there at the second. */
static void wait_for_others(symbols_fetch *f, symbol_object *o)
{
    const struct timespec moment = { .tv_nsec = 1000000 };
    symbol_line lines[SYMBOLS_LINES_MAX];

    (void)symbols_resolve(o, 0, lines);
    while (symbols_fetch_waiting(f) > 0)
        (void)nanosleep(&moment, NULL);
}

static void look_up(symbols *s, const arguments *a)
{
    symbol_object *o = symbols_get(s, &a->request);
    symbol_line lines[SYMBOLS_LINES_MAX];
    char line[64];

    symbols_open_files(s);
    if (o && a->options.fetch)
        wait_for_others(a->options.fetch, o);
    while (o && fgets(line, sizeof(line), stdin)) {
        uint64_t address = 0;
        sonde_str text = { line, strcspn(line, "\n") };

        if (sonde_hex_parse_u64(text, 1, &address) == SONDE_OK)
            print_answer(lines, symbols_resolve(o, address, lines), a->raw);
    }
    symbol_object_put(o);
}

static void print_status(symbols *s)
{
    sonde_json_writer w;
    sonde_buf out;

    sonde_buf_init(&out, 65536);
    sonde_json_writer_init(&w, &out);
    symbols_write_json(s, &w);
    (void)printf("%s\n", sonde_buf_cstr(&out));
    sonde_buf_done(&out);
}

int main(int argc, char **argv)
{
    arguments a = { .options = { .lines = false }, .disk_bytes = 64u * 1024 * 1024 };
    symbols *s = NULL;
    sonde_error error;

    if (!read_arguments(argc, argv, &a))
        return 1;
    if (a.disk && symbols_disk_open(a.disk, a.disk_bytes, &a.options.disk) != SONDE_OK)
        return 1;
    a.fetch.disk = a.options.disk;
    if (a.fetch.urls.len && symbols_fetch_open(&a.fetch, &a.options.fetch, &error) != SONDE_OK)
        return 1;
    if (symbols_open(&a.options, &s) != SONDE_OK)
        return 1;
    look_up(s, &a);
    if (a.status)
        print_status(s);
    symbols_close(s);
    symbols_fetch_close(a.options.fetch);
    symbols_disk_close(a.options.disk);
    return 0;
}
