/* fuzz_crash_report.c - property: whatever a CRASH packet holds, reading it ends and stays within its bounds; and what was
 * read becomes two requests that are JSON. */
#include <stdint.h>
#include <stdlib.h>

#include "codec/json_read.h"
#include "crash/message.h"

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void *open_object(void *user, pid_t pid, const sonde_crash_report_module *m)
{
    (void)pid;
    must(sonde_utf8_valid(m->path) && m->head.build_id_len <= SONDE_CRASH_BUILD_ID_MAX);
    return user;
}

static size_t resolve(void *user, void *object, uint64_t address,
                      sonde_crash_line out[SONDE_CRASH_LINES_MAX])
{
    (void)user, (void)object;
    if (address % 2)
        return 0;
    out[0] =
        (sonde_crash_line){ SONDE_STR("function"), SONDE_STR("_function"), SONDE_STR("file.c"), 7 };
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

static void check(sonde_crash_case *c)
{
    sonde_buf out;

    must(c->r.head.frames_len <= SONDE_CRASH_REPORT_FRAMES_MAX &&
         c->r.modules_len <= SONDE_CRASH_REPORT_MODULES_MAX);
    sonde_buf_init(&out, SONDE_CRASH_MESSAGE_MAX_BYTES);
    if (sonde_crash_ping(c, &c->r.process, &out))
        must_be_json(sonde_buf_str(&out));
    sonde_buf_reset(&out);
    if (sonde_crash_message(c, &c->r.process, NULL, &out))
        must_be_json(sonde_buf_str(&out));
    sonde_buf_reset(&out);
    (void)sonde_crash_stack(c, &out);
    sonde_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int any;
    const sonde_crash_symbols symbols = { &any, open_object, resolve, close_object };
    bool malformed;
    sonde_crash_case *c = sonde_crash_case_new(data, size, 1, &symbols, &malformed);

    if (c) {
        sonde_crash_case_open(c);
        check(c);
    }
    sonde_crash_case_free(c);
    return 0;
}
