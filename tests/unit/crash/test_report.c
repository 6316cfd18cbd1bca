/* Reports of fatal signals: what is read, what is refused, and what becomes of them. */
#include "support/alloc_fail.h"
#include "support/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json_read.h"
#include "crash/message.h"

#define FRAMES 3u

/* A packet as a handler writes it. */
typedef struct packet {
    uint8_t bytes[4096];
    size_t len;
} packet;

static void put(packet *p, const void *from, size_t bytes)
{
    memcpy(p->bytes + p->len, from, bytes);
    p->len += bytes;
}

static const uint8_t process[] = "\x82\xacservice_name\xa3web\xaaruntime_id\xa1r";

static packet make_packet(int code)
{
    static const char path[16] = "/opt/web";
    const uint64_t regs[2] = { 8, 9 }, frames[FRAMES] = { 0x401010, 0x402000, 0x7000 };
    sonde_crash_module m = { .start = 0x401000,
                             .length = 0x2000,
                             .bias = 0x400000,
                             .path_len = 8,
                             .build_id_len = 2,
                             .build_id = { 0xab, 0xcd } };
    sonde_crash_crash crash = {
        .head = { SONDE_BLACKBOX_MAGIC, SONDE_BLACKBOX_VERSION, SONDE_CRASH_CRASH },
        .signo = SIGSEGV,
        .si_code = code,
        .address = 0x10,
        .tid = 77,
    };
    sonde_crash_report_head head = {
        .magic = SONDE_CRASH_REPORT_MAGIC,
        .version = SONDE_CRASH_REPORT_VERSION,
        .arch = SONDE_CRASH_X86_64,
        .unix_ns = INT64_C(1700000000000000005),
        .pid = 70,
        .tid = 77,
        .thread_name = "worker",
        .span_id = 42,
        .trace_id_low = 7,
        .regs_len = 2,
        .frames_len = FRAMES,
        .modules_len = 1,
        .modules_bytes = sizeof(m) + 8,
        .process_bytes = sizeof(process) - 1,
    };
    packet p = { .len = 0 };

    put(&p, &crash, sizeof(crash));
    put(&p, &head, sizeof(head));
    put(&p, regs, sizeof(regs));
    put(&p, frames, sizeof(frames));
    put(&p, &m, sizeof(m));
    put(&p, path, 8);
    put(&p, process, sizeof(process) - 1);
    return p;
}

static sonde_crash_report_head *head_of(packet *p)
{
    return (sonde_crash_report_head *)(void *)(p->bytes + sizeof(sonde_crash_crash));
}

static int opened, closed;

static void *open_object(void *user, pid_t pid, const sonde_crash_report_module *m)
{
    assert_int_equal(pid, 1234);
    assert_true(sonde_str_eq(m->path, SONDE_STR("/opt/web")));
    opened++;
    return user;
}

static size_t resolve(void *user, void *object, uint64_t address,
                      sonde_crash_line out[SONDE_CRASH_LINES_MAX])
{
    assert_ptr_equal(user, object);
    if (address != 0x1010)
        return 0;
    out[0] = (sonde_crash_line){ SONDE_STR("inlined"), { NULL, 0 }, SONDE_STR("a.h"), 3 };
    out[1] = (sonde_crash_line){ SONDE_STR("ns::f()"), SONDE_STR("_ZN2ns1fEv"), { NULL, 0 }, 0 };
    return 2;
}

static void close_object(void *user, void *object)
{
    (void)user, (void)object;
    closed++;
}

static sonde_crash_case *make_case(const packet *p, bool *malformed)
{
    static int any;
    const sonde_crash_symbols symbols = { &any, open_object, resolve, close_object };

    sonde_crash_case *c = sonde_crash_case_new(p->bytes, p->len, 1234, &symbols, malformed);

    if (c)
        sonde_crash_case_open(c);
    return c;
}

static void test_a_report_is_read(void **state)
{
    packet p = make_packet(SEGV_MAPERR);
    sonde_crash_report *r = calloc(1, sizeof(*r));

    (void)state;
    assert_non_null(r);
    assert_true(sonde_crash_report_read(r, p.bytes, p.len));
    assert_int_equal(r->crash.signo, SIGSEGV);
    assert_int_equal(r->head.frames_len, FRAMES);
    assert_int_equal(r->frames[1], 0x402000);
    assert_int_equal(r->regs[1], 9);
    assert_int_equal(r->modules_len, 1);
    assert_ptr_equal(sonde_crash_module_of(r, 0x401010), &r->modules[0]);
    assert_null(sonde_crash_module_of(r, 0x403000));
    assert_null(sonde_crash_module_of(r, 0x400fff));
    assert_true(sonde_str_eq(r->thread_name, SONDE_STR("worker")));
    assert_true(sonde_str_eq(r->process.service, SONDE_STR("web")));
    free(r);
}

static void test_what_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *label;
        size_t at; /* of a u32 in the head */
        uint32_t value;
    } rows[] = {
        { "magic", offsetof(sonde_crash_report_head, magic), 1 },
        { "version", offsetof(sonde_crash_report_head, version), 2 },
        { "registers", offsetof(sonde_crash_report_head, regs_len), 41 },
        { "frames", offsetof(sonde_crash_report_head, frames_len), 513 },
        { "frames that are not there", offsetof(sonde_crash_report_head, frames_len), 400 },
        { "modules", offsetof(sonde_crash_report_head, modules_bytes), UINT32_MAX },
        { "process", offsetof(sonde_crash_report_head, process_bytes), 2049 },
        { "process that is not there", offsetof(sonde_crash_report_head, process_bytes), 2000 },
    };
    sonde_crash_report *r = calloc(1, sizeof(*r));
    size_t i;

    (void)state;
    assert_non_null(r);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        packet p = make_packet(SEGV_MAPERR);

        memcpy((uint8_t *)head_of(&p) + rows[i].at, &rows[i].value, sizeof(rows[i].value));
        if (sonde_crash_report_read(r, p.bytes, p.len))
            fail_msg("%s was taken", rows[i].label);
    }
    for (i = 0; i < make_packet(1).len; i++) {
        packet p = make_packet(SEGV_MAPERR);

        assert_false(sonde_crash_report_read(r, p.bytes, i)); /* cut anywhere */
    }
    free(r);
}

static void test_modules_that_cannot_be_end_the_list(void **state)
{
    packet p = make_packet(SEGV_MAPERR);
    size_t at = sizeof(sonde_crash_crash) + sizeof(sonde_crash_report_head) + 5 * sizeof(uint64_t);
    sonde_crash_module *m = (sonde_crash_module *)(void *)(p.bytes + at);
    sonde_crash_report *r = calloc(1, sizeof(*r));

    (void)state;
    assert_non_null(r);
    m->build_id_len = SONDE_CRASH_BUILD_ID_MAX + 1;
    assert_true(sonde_crash_report_read(r, p.bytes, p.len));
    assert_int_equal(r->modules_len, 0);
    m->build_id_len = 2;
    m->path_len = 9; /* more than there is */
    assert_true(sonde_crash_report_read(r, p.bytes, p.len));
    assert_int_equal(r->modules_len, 0);
    free(r);
}

static void test_names_of_signals_and_codes(void **state)
{
    static const struct {
        int signo, code;
        const char *want;
    } rows[] = {
        { SIGSEGV, SEGV_MAPERR, "SEGV_MAPERR" },
        { SIGSEGV, SI_KERNEL, "SI_KERNEL" },
        { SIGABRT, SI_TKILL, "SI_TKILL" },
        { SIGBUS, BUS_ADRERR, "BUS_ADRERR" },
        { SIGFPE, FPE_INTDIV, "FPE_INTDIV" },
        { SIGILL, ILL_ILLOPN, "ILL_ILLOPN" },
        { SIGSYS, 1, "SYS_SECCOMP" },
        { SIGSEGV, 99, "UNKNOWN" },
    };
    char name[SONDE_CRASH_NAME_ROOM];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(sonde_crash_code_name(rows[i].signo, rows[i].code), rows[i].want);
    sonde_crash_signal_name(SIGBUS, name);
    assert_string_equal(name, "SIGBUS");
    sonde_crash_signal_name(12345, name);
    assert_string_equal(name, "signal 12345");
}

static void test_the_kernels_word_is_better_than_one_that_was_sent(void **state)
{
    static const struct {
        int newer, older;
        bool want;
    } rows[] = { { SEGV_MAPERR, SI_TKILL, true },
                 { SI_TKILL, SEGV_MAPERR, false },
                 { SEGV_ACCERR, SEGV_MAPERR, true },
                 { SI_USER, SI_TKILL, true } };
    sonde_crash_report *a = calloc(2, sizeof(*a));
    size_t i;

    (void)state;
    assert_non_null(a);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        a[0].crash.si_code = rows[i].newer;
        a[1].crash.si_code = rows[i].older;
        assert_int_equal(sonde_crash_report_is_better(&a[0], &a[1]), rows[i].want);
    }
    free(a);
}

static void test_the_stack_reads_well(void **state)
{
    packet p = make_packet(SEGV_MAPERR);
    bool malformed;
    sonde_crash_case *c;
    sonde_buf out;

    (void)state;
    opened = closed = 0;
    c = make_case(&p, &malformed);
    assert_non_null(c);
    assert_int_equal(opened, 1); /* two frames are in it */
    sonde_buf_init(&out, 4096);
    assert_true(sonde_crash_stack(c, &out));
    assert_string_equal(sonde_buf_cstr(&out),
                        "#0 0x0000000000401010 in inlined at a.h:3 (/opt/web+0x1010)\n"
                        "#0 0x0000000000401010 in ns::f() (/opt/web+0x1010)\n"
                        "#1 0x0000000000402000 (/opt/web+0x2000)\n"
                        "#2 0x0000000000007000\n");
    sonde_buf_done(&out);
    sonde_crash_case_free(c);
    assert_int_equal(closed, 1);
}

static bool has(const sonde_buf *b, const char *text)
{
    size_t at;

    return sonde_str_find(sonde_buf_str(b), sonde_str_from(text), &at);
}

static void test_the_requests_are_json_with_a_report_inside(void **state)
{
    static const char *const wanted[] = {
        "{\"api_version\":\"v2\",\"request_type\":\"logs\",\"tracer_time\":1700000000,",
        ",\"seq_id\":2,\"debug\":false,\"application\":{\"service_name\":\"",
        ",\"os\":\"GNU/Linux\",\"os_version\":\"",
        "\"level\":\"ERROR\"",
        "\"is_crash\":true",
        "si_signo:11,si_signo_human_readable:SIGSEGV,si_code:1,si_code_human_readable:SEGV_MAPERR,"
        "si_addr:0x10",
        "\\\"build_id\\\":\\\"abcd\\\"",
        "\\\"relative_address\\\":\\\"0x1010\\\"",
        "\\\"function\\\":\\\"ns::f()\\\",\\\"mangled_name\\\":\\\"_ZN2ns1fEv\\\"",
        "\\\"registers\\\":{\\\"r8\\\":\\\"0x8\\\",\\\"r9\\\":\\\"0x9\\\"}",
        "\\\"span_ids\\\":[{\\\"id\\\":\\\"42\\\",\\\"thread_name\\\":\\\"worker\\\"}]",
        "\\\"trace_ids\\\":[{\\\"id\\\":\\\"00000000000000000000000000000007\\\"",
        "\\\"timestamp\\\":\\\"2023-11-14T22:13:20.000000005Z\\\"",
    };
    packet p = make_packet(SEGV_MAPERR);
    sonde_json_reader r;
    bool malformed;
    sonde_crash_case *c = make_case(&p, &malformed);
    sonde_buf out;
    size_t i;

    (void)state;
    assert_non_null(c);
    sonde_buf_init(&out, SONDE_CRASH_MESSAGE_MAX_BYTES);
    assert_true(sonde_crash_message(c, &c->r.process, NULL, &out));
    for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (!has(&out, wanted[i]))
            fail_msg("%s is not in %s", wanted[i], sonde_buf_cstr(&out));
    sonde_json_reader_init(&r, sonde_buf_str(&out), out.len);
    assert_true(sonde_json_skip(&r, sonde_json_next(&r)));
    sonde_json_reader_done(&r);
    sonde_buf_reset(&out);
    assert_true(sonde_crash_ping(c, &c->r.process, &out));
    assert_true(has(&out, "is_crash_ping:true"));
    assert_true(has(&out, "\"is_crash\":false"));
    assert_true(has(&out, c->uuid));
    sonde_buf_done(&out);
    sonde_crash_case_free(c);
}

static sonde_status use_a_report(void *packet_in)
{
    bool malformed;
    sonde_crash_case *c = make_case(packet_in, &malformed);
    sonde_buf out;
    bool ok = false;

    assert_false(malformed);
    sonde_buf_init(&out, SONDE_CRASH_MESSAGE_MAX_BYTES);
    if (c)
        ok = sonde_crash_ping(c, &c->r.process, &out) &&
             sonde_crash_message(c, &c->r.process, NULL, &out) && sonde_crash_stack(c, &out);
    sonde_buf_done(&out);
    sonde_crash_case_free(c);
    return ok ? SONDE_OK : SONDE_ERR_NOMEM;
}

static void test_without_memory_there_is_no_report(void **state)
{
    packet p = make_packet(SEGV_MAPERR);

    (void)state;
    alloc_fail_each(use_a_report, &p);
}

static void test_a_packet_that_is_none_is_malformed(void **state)
{
    packet p = make_packet(SEGV_MAPERR);
    bool malformed = false;

    (void)state;
    p.len = 40;
    assert_null(make_case(&p, &malformed));
    assert_true(malformed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_report_is_read),
        cmocka_unit_test(test_what_cannot_be_is_refused),
        cmocka_unit_test(test_modules_that_cannot_be_end_the_list),
        cmocka_unit_test(test_names_of_signals_and_codes),
        cmocka_unit_test(test_the_kernels_word_is_better_than_one_that_was_sent),
        cmocka_unit_test(test_the_stack_reads_well),
        cmocka_unit_test(test_the_requests_are_json_with_a_report_inside),
        cmocka_unit_test(test_without_memory_there_is_no_report),
        cmocka_unit_test(test_a_packet_that_is_none_is_malformed),
    };

    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
