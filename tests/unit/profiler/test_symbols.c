/* Names of functions: of this very program, of files that are broken, and made readable. */
#include "support/test.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "profiler/src/symbols.h"
#include "support/alloc_fail.h"

__attribute__((noinline)) void a_function_of_the_test(void);

__attribute__((noinline)) void a_function_of_the_test(void)
{
    /* four bytes at least, whatever the compiler leaves out */
    __asm__ volatile("nop\n\tnop\n\tnop");
}

static void functions_of_this_program_are_found_by_their_addresses(void **state)
{
    sonde_prof__symbols s;
    const sonde_prof__loaded *l;
    uint64_t at = (uint64_t)(uintptr_t)a_function_of_the_test;

    (void)state;
    assert_status(sonde_prof__maps_refresh(1), SONDE_OK);
    l = sonde_prof__maps_find(at);
    assert_non_null(l);
    sonde_prof__symbols_init(&s);
    assert_string_equal(sonde_prof__symbols_find(&s, l, at - l->bias).ptr,
                        "a_function_of_the_test");
    assert_string_equal(sonde_prof__symbols_find(&s, l, at - l->bias + 1).ptr,
                        "a_function_of_the_test");
    assert_string_equal(sonde_prof__symbols_find(&s, l, 1).ptr, "");
    at = (uint64_t)(uintptr_t)getpid;
    l = sonde_prof__maps_find(at);
    if (l) /* not where the address is that of a stub */
        assert_true(sonde_prof__symbols_find(&s, l, at - l->bias).len > 0);
    sonde_prof__symbols_done(&s);
    sonde_prof__maps_done();
}

/* -- a file by hand --------------------------------------------------------------------------------- */

#define NAMES      "\0small\0_big\0$x\0local\0second"
#define SYMBOLS    7
#define SYMBOLS_AT sizeof(Elf64_Ehdr)
#define NAMES_AT   (SYMBOLS_AT + SYMBOLS * sizeof(Elf64_Sym))
#define HEADS_AT   ((NAMES_AT + sizeof(NAMES) + 7) / 8 * 8)
#define FILE_BYTES (HEADS_AT + 3 * sizeof(Elf64_Shdr))

static void make_file(uint8_t *file)
{
    Elf64_Ehdr head = {
        .e_ident = ELFMAG, .e_shoff = HEADS_AT, .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 3
    };
    const Elf64_Sym symbols[SYMBOLS] = {
        { 0 },
        { .st_name = 1,
          .st_info = ELF64_ST_INFO(STB_WEAK, STT_FUNC),
          .st_shndx = 1,
          .st_value = 0x100,
          .st_size = 0x10 },
        { .st_name = 7,
          .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
          .st_shndx = 1,
          .st_value = 0x100,
          .st_size = 0x10 },
        { .st_name = 12,
          .st_info = ELF64_ST_INFO(STB_LOCAL, STT_NOTYPE),
          .st_shndx = 1,
          .st_value = 0x104 },
        { .st_name = 15,
          .st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC),
          .st_shndx = 1,
          .st_value = 0x100,
          .st_size = 0x10 },
        { .st_name = 21,
          .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
          .st_shndx = 1,
          .st_value = 0x200 },
        { .st_name = 1,
          .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT),
          .st_shndx = 1,
          .st_value = 0x300,
          .st_size = 8 },
    };
    const Elf64_Shdr heads[3] = {
        { 0 },
        { .sh_type = SHT_SYMTAB,
          .sh_offset = SYMBOLS_AT,
          .sh_size = sizeof(symbols),
          .sh_link = 2 },
        { .sh_type = SHT_STRTAB, .sh_offset = NAMES_AT, .sh_size = sizeof(NAMES) },
    };

    head.e_ident[EI_CLASS] = ELFCLASS64;
    head.e_ident[EI_DATA] = ELFDATA2LSB;
    memset(file, 0, FILE_BYTES);
    memcpy(file, &head, sizeof(head));
    memcpy(file + SYMBOLS_AT, symbols, sizeof(symbols));
    memcpy(file + NAMES_AT, NAMES, sizeof(NAMES));
    memcpy(file + HEADS_AT, heads, sizeof(heads));
}

static void of_several_names_of_an_address_one_is_chosen(void **state)
{
    uint8_t file[FILE_BYTES];
    const sonde_prof__elf_source source = { -1, file, sizeof(file) };
    sonde_prof__symbol_table t;

    (void)state;
    make_file(file);
    assert_status(sonde_prof__symbol_table_read(&source, 1 << 20, &t), SONDE_OK);
    assert_int_equal(t.len, 2);
    assert_string_equal(sonde_prof__symbol_at(&t, 0x100).ptr,
                        "_big"); /* global before weak before local */
    assert_string_equal(sonde_prof__symbol_at(&t, 0x10f).ptr, "_big");
    assert_string_equal(sonde_prof__symbol_at(&t, 0x110).ptr, ""); /* behind its size */
    assert_string_equal(sonde_prof__symbol_at(&t, 0xff).ptr, "");
    assert_string_equal(sonde_prof__symbol_at(&t, 0x5000).ptr,
                        "second"); /* without a size: to the next */
    sonde_prof__symbol_table_done(&t);
    assert_status(sonde_prof__symbol_table_read(&source, 300, &t), SONDE_OK);
    sonde_prof__symbol_table_done(&t);
    assert_status(sonde_prof__symbol_table_read(&source, 100, &t), SONDE_ERR_TOO_BIG);
}

static void a_file_cut_anywhere_is_refused_or_empty(void **state)
{
    uint8_t file[FILE_BYTES];
    size_t len;

    (void)state;
    make_file(file);
    for (len = 0; len < sizeof(file); len++) {
        uint8_t *exact = (uint8_t *)sonde_malloc(len + 1);
        const sonde_prof__elf_source source = { -1, exact, len };
        sonde_prof__symbol_table t;

        memcpy(exact, file, len);
        if (sonde_prof__symbol_table_read(&source, 1 << 20, &t) == SONDE_OK)
            assert_int_equal(t.len, 0);
        sonde_free(exact);
    }
}

static sonde_status read_once(void *user)
{
    uint8_t file[FILE_BYTES];
    const sonde_prof__elf_source source = { -1, file, sizeof(file) };
    sonde_prof__symbol_table t;
    sonde_status status;

    (void)user;
    make_file(file);
    status = sonde_prof__symbol_table_read(&source, 1 << 20, &t);
    sonde_prof__symbol_table_done(&t);
    return status;
}

static void no_memory_leaks_nothing(void **state)
{
    (void)state;
    alloc_fail_each(read_once, NULL);
}

static void simple_names_of_cpp_and_rust_are_made_readable(void **state)
{
    static const struct {
        const char *name, *want;
    } cases[] = {
        { "main", "main" },
        { "_Z4loopv", "loop" },
        { "_ZN3net6Server4loopEv", "net::Server::loop" },
        { "_ZNK3net6Server4sizeEv", "net::Server::size" },
        { "_ZN3net6ServerC1Ei", "net::Server::Server" },
        { "_ZN3net6ServerD2Ev", "net::Server::~Server" },
        { "_ZNSt6thread4joinEv", "std::thread::join" },
        { "_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core::fmt::Write::write_fmt" },
        { "_ZN43_$LT$alloc..string..String$u20$as$u20$X$GT$3fooE",
          "<alloc::string::String as X>::foo" },
        { "_ZNSt6vectorIiSaIiEE9push_backEOi", "_ZNSt6vectorIiSaIiEE9push_backEOi" },
        { "_Z3maxIiET_S0_S0_", "_Z3maxIiET_S0_S0_" },
        { "_ZN3net", "_ZN3net" },
        { "_ZN9999xE", "_ZN9999xE" },
        { "_ZN", "_ZN" },
        { "_Z", "_Z" },
        { "_ZNE", "_ZNE" },
    };
    char room[SONDE_PROF__SYMBOL_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_str got = { room, sonde_prof__readable(sonde_str_from(cases[i].name), room) };

        if (!sonde_str_eq(got, sonde_str_from(cases[i].want)))
            fail_msg("%s: got %.*s", cases[i].name, SONDE_STR_ARG(got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_of_this_program_are_found_by_their_addresses),
        cmocka_unit_test(of_several_names_of_an_address_one_is_chosen),
        cmocka_unit_test(a_file_cut_anywhere_is_refused_or_empty),
        cmocka_unit_test(no_memory_leaks_nothing),
        cmocka_unit_test(simple_names_of_cpp_and_rust_are_made_readable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
