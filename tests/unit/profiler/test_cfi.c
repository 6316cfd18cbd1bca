/* Call frame information by hand: what each instruction does to the rules, and what broken bytes do. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "support/alloc_fail.h"

#include "profiler/src/unwind_build.h"

#define TEXT  0x10000u
#define FRAME 0x20000u

/* An .eh_frame of one CIE (code 1, data -8, absolute 8-byte pointers) and FDEs. */
typedef struct section {
    uint8_t bytes[4096];
    size_t len;
} section;

static void put(section *s, const void *bytes, size_t len)
{
    assert_true(s->len + len <= sizeof(s->bytes));
    memcpy(s->bytes + s->len, bytes, len);
    s->len += len;
}

static void put_le(section *s, uint64_t v, unsigned bytes)
{
    unsigned i;

    for (i = 0; i < bytes; i++)
        put(s, &(uint8_t){ (uint8_t)(v >> (8 * i)) }, 1);
}

#define X86_START "\x0c\x07\x08\x90\x01" /* def_cfa rsp+8; ra at cfa-8 */
#define ARM_START "\x0c\x1f\x00"         /* def_cfa sp+0 */

static void put_cie(section *s, const char *augmentation, const char *data, size_t data_len,
                    const char *code, size_t code_len)
{
    size_t len = 4 + 1 + strlen(augmentation) + 1 + 1 + 1 + 1 + data_len + code_len;

    put_le(s, len, 4);
    put_le(s, 0, 4);
    put_le(s, 1, 1);
    put(s, augmentation, strlen(augmentation) + 1);
    put_le(s, 1, 1);    /* code alignment */
    put_le(s, 0x78, 1); /* data alignment -8 */
    put_le(s, 16, 1);
    put(s, data, data_len);
    put(s, code, code_len);
}

static void put_fde(section *s, uint64_t lo, uint64_t bytes, const char *code, size_t code_len)
{
    put_le(s, 4 + 8 + 8 + 1 + code_len, 4);
    put_le(s, s->len, 4); /* back to the CIE, which is first */
    put_le(s, lo, 8);
    put_le(s, bytes, 8);
    put_le(s, 0, 1); /* augmentation data */
    put(s, code, code_len);
}

static void begin(section *s, sonde_prof__arch arch)
{
    s->len = 0;
    if (arch == SONDE_PROF__X86_64)
        put_cie(s, "zR", "\x01\x00", 2, X86_START, sizeof(X86_START) - 1);
    else
        put_cie(s, "zR", "\x01\x00", 2, ARM_START, sizeof(ARM_START) - 1);
}

static sonde_prof__object object_of(const section *s, sonde_prof__arch arch)
{
    return (sonde_prof__object){ .arch = arch,
                                 .text_lo = TEXT,
                                 .text_hi = TEXT + 0x20000,
                                 .eh_frame = { s->bytes, s->len, FRAME } };
}

static sonde_prof__table *build(const section *s, sonde_prof__arch arch)
{
    sonde_prof__object o = object_of(s, arch);
    sonde_prof__table *t = NULL;

    assert_status(sonde_prof__table_build(&o, &t), SONDE_OK);
    return t;
}

typedef struct row {
    uint32_t at;
    sonde_prof__rule rule;
} row;

#define K(kind) SONDE_PROF__CFA_##kind
#define A(kind) SONDE_PROF__AUX_##kind

typedef struct program {
    const char *label;
    sonde_prof__arch arch;
    const char *code;
    size_t code_len;
    row rows[6];
} program;

#define CODE(text) text, sizeof(text) - 1
#define X          SONDE_PROF__X86_64
#define R          SONDE_PROF__AARCH64
#define END                                                                                        \
    {                                                                                              \
        UINT32_MAX,                                                                                \
        {                                                                                          \
            0, 0, 0, 0, 0, 0                                                                       \
        }                                                                                          \
    }
#define BAD                                                                                        \
    {                                                                                              \
        0, 0, K(INVALID), A(UNDEF), 0, 0                                                           \
    }
#define STOP_RULE                                                                                  \
    {                                                                                              \
        0, 0, K(STOP), A(UNDEF), 0, 0                                                              \
    }

static const program programs[] = {
    { "nothing but the start", X, CODE(""), { { 0, { 8, 0, K(SP), A(SAME), 0, 0 } }, END } },
    { "push rbp; mov rbp, rsp",
      X,
      CODE("\x41\x0e\x10\x86\x02\x43\x0d\x06"),
      { { 0, { 8, 0, K(SP), A(SAME), 0, 0 } },
        { 1, { 16, -16, K(SP), A(AT_CFA), 0, 0 } },
        { 4, { 16, -16, K(FP), A(AT_CFA), 0, 0 } },
        END } },
    { "remember, restore",
      X,
      CODE("\x0a\x41\x0e\x20\x41\x0b\x41\x0e\x18"),
      { { 0, { 8, 0, K(SP), A(SAME), 0, 0 } },
        { 1, { 32, 0, K(SP), A(SAME), 0, 0 } },
        { 2, { 8, 0, K(SP), A(SAME), 0, 0 } },
        { 3, { 24, 0, K(SP), A(SAME), 0, 0 } },
        END } },
    { "restore goes back to the start",
      X,
      CODE("\x41\x86\x02\x41\xc6"),
      { { 0, { 8, 0, K(SP), A(SAME), 0, 0 } },
        { 1, { 8, -16, K(SP), A(AT_CFA), 0, 0 } },
        { 2, { 8, 0, K(SP), A(SAME), 0, 0 } },
        END } },
    { "advances of every size",
      X,
      CODE("\x02\x02\x0e\x10\x03\x00\x01\x0e\x18\x04\x00\x01\x00\x00\x0e\x20"),
      { { 0, { 8, 0, K(SP), A(SAME), 0, 0 } },
        { 2, { 16, 0, K(SP), A(SAME), 0, 0 } },
        { 0x102, { 24, 0, K(SP), A(SAME), 0, 0 } },
        { 0x202, { 32, 0, K(SP), A(SAME), 0, 0 } },
        END } },
    { "a linkage table",
      X,
      CODE("\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x39\x2a\x33\x24\x22"),
      { { 0, { 0, 0, K(PLT), A(SAME), 9, 0 } }, END } },
    { "another expression",
      X,
      CODE("\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x39\x2a\x33\x24\x1c"),
      { { 0, BAD }, END } },
    { "CFA loaded from the stack",
      X,
      CODE("\x0f\x05\x77\x28\x06\x23\x08"),
      { { 0, { 40, 0, K(SP_DEREF), A(SAME), 8, 0 } }, END } },
    { "CFA loaded from the frame",
      X,
      CODE("\x0f\x03\x76\x78\x06"),
      { { 0, { -8, 0, K(FP_DEREF), A(SAME), 0, 0 } }, END } },
    { "FP at FP",
      X,
      CODE("\x10\x06\x02\x76\x00"),
      { { 0, { 8, 0, K(SP), A(AT_FP), 0, 0 } }, END } },
    { "another register",
      X,
      CODE("\x0c\x0a\x08"),
      { { 0, { 8, 0, K(REG) + 10, A(SAME), 0, SONDE_PROF__LEAF_ONLY } }, END } },
    { "no caller", X, CODE("\x07\x10"), { { 0, STOP_RULE }, END } },
    { "return address popped",
      X,
      CODE("\x41\x0e\x00"),
      { { 0, { 8, 0, K(SP), A(SAME), 0, 0 } }, { 1, STOP_RULE }, END } },
    { "return address in a register", X, CODE("\x09\x10\x03"), { { 0, BAD }, END } },
    { "FP in a register", X, CODE("\x09\x06\x03"), { { 0, BAD }, END } },
    { "FP lost", X, CODE("\x07\x06"), { { 0, { 8, 0, K(SP), A(UNDEF), 0, 0 } }, END } },
    { "other registers do not matter",
      X,
      CODE("\x83\x03\x05\x0c\x04\x09\x0d\x0e\x14\x0f\x02\x15\x0c\x7f\x2e\x10"),
      { { 0, { 8, 0, K(SP), A(SAME), 0, 0 } }, END } },
    { "signed factors",
      X,
      CODE("\x12\x07\x7e\x11\x06\x03"),
      { { 0, { 16, -24, K(SP), A(AT_CFA), 0, 0 } }, END } },
    { "an unknown instruction", X, CODE("\x41\x0e\x10\x41\x3f"), { { 0, BAD }, END } },
    { "cut off", X, CODE("\x41\x0e"), { { 0, BAD }, END } },
    { "restored more than remembered", X, CODE("\x0b"), { { 0, BAD }, END } },
    { "nine states remembered",
      X,
      CODE("\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a"),
      { { 0, BAD }, END } },
    { "beyond its end", X, CODE("\x04\xff\xff\x00\x00\x0e\x10"), { { 0, BAD }, END } },
    { "aarch64: leaf", R, CODE(""), { { 0, { 0, 0, K(SP), A(SAME), 0, 0 } }, END } },
    { "aarch64: pair pushed",
      R,
      CODE("\x44\x0e\x20\x9d\x04\x9e\x03\x44\x0d\x1d"),
      { { 0, { 0, 0, K(SP), A(SAME), 0, 0 } },
        { 4, { 32, -24, K(SP), A(AT_CFA), 0, SONDE_PROF__FP_BELOW_RA } },
        { 8, { 32, -24, K(FP), A(AT_CFA), 0, SONDE_PROF__FP_BELOW_RA } },
        END } },
    { "aarch64: signed return address",
      R,
      CODE("\x2d\x44\x0e\x10\x9e\x02"),
      { { 0, { 0, 0, K(SP), A(SAME), 0, 0 } }, { 4, { 16, -16, K(SP), A(AT_CFA), 0, 0 } }, END } },
    { "aarch64: no caller", R, CODE("\x07\x1e"), { { 0, STOP_RULE }, END } },
};

static void check_program(const program *p)
{
    const sonde_prof__rule *have;
    sonde_prof__table *t;
    section s;
    unsigned i;

    begin(&s, p->arch);
    put_fde(&s, TEXT + 0x1000, 0x300, p->code, p->code_len);
    t = build(&s, p->arch);
    for (i = 0; p->rows[i].at != UINT32_MAX; i++) {
        uint32_t last = p->rows[i + 1].at == UINT32_MAX ? 0x2ff : p->rows[i + 1].at - 1, at;

        for (at = p->rows[i].at; at <= last;
             at += last - p->rows[i].at ? last - p->rows[i].at : 1) {
            have = sonde_prof__table_find(t, TEXT + 0x1000 + at);
            if (!have || memcmp(have, &p->rows[i].rule, sizeof(*have)) != 0)
                fail_msg("%s, byte %u: cfa %d %+d, aux %d %+d, post %d, flags %d", p->label, at,
                         have ? have->cfa_kind : -1, have ? have->cfa_off : 0,
                         have ? have->aux_kind : -1, have ? have->aux_off : 0,
                         have ? have->post : 0, have ? have->flags : 0);
        }
    }
    assert_int_equal(sonde_prof__table_find(t, TEXT + 0x1300)->cfa_kind, K(FALLBACK));
    assert_int_equal(sonde_prof__table_find(t, TEXT)->cfa_kind, K(FALLBACK));
    sonde_prof__table_free(t);
}

static void test_programs_become_rows(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(programs); i++)
        check_program(&programs[i]);
}

static void test_small_gaps_run_on_and_large_ones_fall_back(void **state)
{
    sonde_prof__table *t;
    section s;

    (void)state;
    begin(&s, X);
    put_fde(&s, TEXT + 0x200, 0x100, CODE("\x0e\x20")); /* out of order: sorted by code */
    put_fde(&s, TEXT + 0x100, 0xf1, CODE("\x0e\x10"));
    put_fde(&s, TEXT + 0x1ffff, 1, CODE("\x0e\x30"));
    t = build(&s, X);
    assert_int_equal(sonde_prof__table_find(t, TEXT + 0x1f8)->cfa_off, 16); /* 15 bytes */
    assert_int_equal(sonde_prof__table_find(t, TEXT + 0x200)->cfa_off, 32);
    assert_int_equal(sonde_prof__table_find(t, TEXT + 0x300)->cfa_kind, K(FALLBACK));
    assert_int_equal(sonde_prof__table_find(t, TEXT + 0x1fffe)->cfa_kind,
                     K(FALLBACK)); /* pages later */
    assert_int_equal(sonde_prof__table_find(t, TEXT + 0x1ffff)->cfa_off, 48);
    assert_null(sonde_prof__table_find(t, TEXT + 0x20000));
    assert_null(sonde_prof__table_find(t, TEXT - 1));
    sonde_prof__table_free(t);
}

static void test_code_behind_a_signal_begins_a_byte_early(void **state)
{
    sonde_prof__table *t;
    section s = { .len = 0 };

    (void)state;
    put_cie(&s, "zRS", "\x01\x00", 2, X86_START, sizeof(X86_START) - 1);
    put_fde(&s, TEXT + 0x100, 9, CODE(""));
    t = build(&s, X);
    assert_int_equal(sonde_prof__table_find(t, TEXT + 0xff)->cfa_kind, K(SIGNAL));
    assert_int_equal(sonde_prof__table_find(t, TEXT + 0x108)->cfa_kind, K(SIGNAL));
    assert_int_equal(sonde_prof__table_find(t, TEXT + 0x109)->cfa_kind, K(FALLBACK));
    sonde_prof__table_free(t);
}

static void test_equal_rules_are_kept_once(void **state)
{
    sonde_prof__table *t;
    section s;
    unsigned i;

    (void)state;
    begin(&s, X);
    for (i = 0; i < 60; i++)
        put_fde(&s, TEXT + 0x1000u * i / 16u * 16u, 0x20, CODE("\x0e\x10"));
    t = build(&s, X);
    assert_int_equal(t->rules_len, 2);
    sonde_prof__table_free(t);
}

static sonde_status build_without_memory(void *user)
{
    sonde_prof__object o = object_of(user, X);
    sonde_prof__table *t = NULL;
    sonde_status status = sonde_prof__table_build(&o, &t);

    sonde_prof__table_free(t);
    return status;
}

static void test_every_failing_allocation_is_survived(void **state)
{
    section s;

    (void)state;
    begin(&s, X);
    put_fde(&s, TEXT + 0x100, 0x100, CODE("\x41\x0e\x10"));
    alloc_fail_each(build_without_memory, &s);
}

static void test_what_cannot_be_a_table_is_refused(void **state)
{
    sonde_prof__table *t = NULL;
    sonde_prof__object o;
    section s;

    (void)state;
    begin(&s, X);
    o = object_of(&s, X);
    assert_status(sonde_prof__table_build(&o, &t), SONDE_ERR_NOT_FOUND); /* no FDE */
    o.text_hi = o.text_lo + (UINT64_C(1) << 32);
    assert_status(sonde_prof__table_build(&o, &t), SONDE_ERR_TOO_BIG);
    o.text_hi = o.text_lo;
    assert_status(sonde_prof__table_build(&o, &t), SONDE_ERR_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_programs_become_rows),
        cmocka_unit_test(test_small_gaps_run_on_and_large_ones_fall_back),
        cmocka_unit_test(test_code_behind_a_signal_begins_a_byte_early),
        cmocka_unit_test(test_equal_rules_are_kept_once),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
        cmocka_unit_test(test_what_cannot_be_a_table_is_refused),
    };

    return cmocka_run_group_tests_name("cfi", tests, NULL, NULL);
}
