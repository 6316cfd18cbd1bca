/* crash_names.c - modules of reports as the mappings of profiles. */
#include "crash_names.h"

static void *open_module(void *user, pid_t pid, const sonde_crash_report_module *m)
{
    const symbols_options options = { .max_bytes = CRASH_NAMES_BYTES, .lines = true };
    crash_names *n = user;
    symbol_object *o;

    if (!n->symbols && symbols_open(&options, &n->symbols) != SONDE_OK)
        return NULL;
    o = symbols_get(n->symbols, &(symbol_request){
                                    .pid = pid,
                                    .start = m->head.start,
                                    .length = m->head.length,
                                    .flags = m->head.flags,
                                    .path = m->path,
                                    .build_id = m->head.build_id,
                                    .build_id_len = m->head.build_id_len,
                                    .device = m->head.device,
                                    .inode = m->head.inode,
                                    .mtime_s = m->head.mtime_s,
                                });
    if (o)
        symbols_open_files(n->symbols);
    return o;
}

static size_t resolve(void *user, void *object, uint64_t address,
                      sonde_crash_line out[SONDE_CRASH_LINES_MAX])
{
    symbol_line lines[SYMBOLS_LINES_MAX];
    size_t len = symbols_resolve(object, address, lines), i;

    (void)user;
    for (i = 0; i < len; i++)
        out[i] =
            (sonde_crash_line){ lines[i].name, lines[i].system_name, lines[i].file, lines[i].line };
    return len;
}

_Static_assert(SYMBOLS_LINES_MAX <= SONDE_CRASH_LINES_MAX, "room for all");

static void close_module(void *user, void *object)
{
    (void)user;
    symbol_object_put(object);
}

void crash_names_init(crash_names *n)
{
    n->symbols = NULL;
}

void crash_names_done(crash_names *n)
{
    symbols_close(n->symbols);
    n->symbols = NULL;
}

sonde_crash_symbols crash_names_lend(crash_names *n)
{
    return (sonde_crash_symbols){ n, open_module, resolve, close_module };
}
