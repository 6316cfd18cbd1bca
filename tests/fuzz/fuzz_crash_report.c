/* fuzz_crash_report.c - property: whatever a CRASH packet holds, reading it ends and stays within its bounds; and what was
 * read becomes two requests that are JSON. */
#include <stdint.h>
#include <stdlib.h>

#include "agent/crash/message.h"
#include "codec/json_read.h"

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void *open_object(void *user, pid_t pid, const report_module *m)
{
    (void)pid;
    must(sonde_utf8_valid(m->path) && m->head.build_id_len <= SONDE_CRASH_BUILD_ID_MAX);
    return user;
}

static size_t resolve(void *user, void *object, uint64_t address, crash_line out[CRASH_LINES_MAX])
{
    (void)user, (void)object;
    if (address % 2)
        return 0;
    out[0] = (crash_line){ SONDE_STR("function"), SONDE_STR("_function"), SONDE_STR("file.c"), 7 };
    return 1;
}

static void close_object(void *user, void *object)
{
    (void)user, (void)object;
}

static void must_be_json(sonde_str text)
{
    sonde_json_reader r;

    sonde_json_reader_init(&r, text, text.len);
    must(sonde_json_skip(&r, sonde_json_next(&r)));
    sonde_json_reader_done(&r);
}

static void check(crash_case *c)
{
    sonde_buf out;

    must(c->r.head.frames_len <= SONDE_CRASH_REPORT_FRAMES_MAX &&
         c->r.modules_len <= REPORT_MODULES_MAX);
    sonde_buf_init(&out, MESSAGE_MAX_BYTES);
    if (message_ping(c, &c->r.process, &out))
        must_be_json(sonde_buf_str(&out));
    sonde_buf_reset(&out);
    if (message_report(c, &c->r.process, NULL, &out))
        must_be_json(sonde_buf_str(&out));
    sonde_buf_reset(&out);
    (void)message_stack(c, &out);
    sonde_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int any;
    const crash_symbols symbols = { &any, open_object, resolve, close_object };
    bool malformed;
    crash_case *c = crash_case_new(data, size, 1, &symbols, &malformed);

    if (c)
        check(c);
    crash_case_free(c);
    return 0;
}
