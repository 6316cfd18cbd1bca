/* symbol_lookup.c - asks the agent's symbolizer what addr2line is asked: addresses on standard input, in hex, a line
 * each; an answer each, "name TAB file TAB line" for each function, innermost first, joined by TABs.
 *
 *   symbol_lookup [--lines] [--raw] [--debug-dir DIR] [--proc DIR] [--vdso] [--map-pid PID] FILE */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/profiles/symbols.h"
#include "base/hex.h"
#include "base/str.h"

typedef struct arguments {
    bool raw; /* names as the file has them */
    symbols_options options;
    symbol_request request;
} arguments;

static bool read_arguments(int argc, char **argv, arguments *a)
{
    for (int i = 1; i < argc; i++) {
        uint64_t pid = 0;

        if (strcmp(argv[i], "--lines") == 0) {
            a->options.lines = true;
        } else if (strcmp(argv[i], "--raw") == 0) {
            a->raw = true;
        } else if (strcmp(argv[i], "--vdso") == 0) {
            a->request.flags = 2;
        } else if (strcmp(argv[i], "--debug-dir") == 0 && i + 1 < argc) {
            a->options.debug_dir = argv[++i];
        } else if (strcmp(argv[i], "--proc") == 0 && i + 1 < argc) {
            a->options.proc = argv[++i];
        } else if (strcmp(argv[i], "--map-pid") == 0 && i + 1 < argc) {
            if (sonde_hex_parse_u64(sonde_str_from(argv[++i]), 1, &pid) != SONDE_OK)
                return false;
            a->request.map_pid = (uint32_t)pid;
            a->request.pid = 1; /* of the --proc folder */
        } else {
            a->request.path = sonde_str_from(argv[i]);
        }
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

int main(int argc, char **argv)
{
    symbol_line lines[SYMBOLS_LINES_MAX];
    arguments a = { .options = { .lines = false } };
    symbols *s = NULL;
    symbol_object *o;
    char line[64];

    if (!read_arguments(argc, argv, &a) || symbols_open(&a.options, &s) != SONDE_OK)
        return 1;
    o = symbols_get(s, &a.request);
    symbols_open_files(s);
    while (o && fgets(line, sizeof(line), stdin)) {
        uint64_t address = 0;
        sonde_str text = { line, strcspn(line, "\n") };

        if (sonde_hex_parse_u64(text, 1, &address) == SONDE_OK)
            print_answer(lines, symbols_resolve(o, address, lines), a.raw);
    }
    symbol_object_put(o);
    symbols_close(s);
    return 0;
}
