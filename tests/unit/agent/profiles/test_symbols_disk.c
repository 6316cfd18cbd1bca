/* test_symbols_disk.c - indexes on disk: they come back as they went, and nothing else is believed. */
#include "agent/profiles/symbols_disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "support/alloc_fail.h"
#include "support/temp_dir.h"
#include "support/test.h"

#define MANY 3000u /* symbols: enough to be kept */

static const elf_identity ours = { .build_id = "0123456789abcdefghi", .build_id_len = 20 };
static const char ours_name[] = "3031323334353637383961626364656667686900.names";

typedef struct folder {
    char path[256];
    symbols_disk *disk;
} folder;

static void open_folder(folder *f, uint64_t max_bytes)
{
    temp_dir_make(f->path, sizeof(f->path));
    assert_status(symbols_disk_open(f->path, max_bytes, &f->disk), SONDE_OK);
}

static void close_folder(folder *f)
{
    symbols_disk_close(f->disk);
    temp_dir_remove(f->path);
}

static void make_index(symbol_index *x, uint32_t len)
{
    char name[32];

    symbol_index_init(x, 16u << 20);
    for (uint32_t i = 0; i < len; i++) {
        (void)snprintf(name, sizeof(name), "function_%u", i);
        assert_status(symbol_index_add(x, sonde_str_from(name), 0x1000 + 16 * (uint64_t)i, i % 16,
                                       (symbol_rank)(i % 3), i % 2),
                      SONDE_OK);
    }
    symbol_index_seal(x);
}

static void save(symbols_disk *d, const elf_identity *id, uint32_t len)
{
    symbol_index x;

    make_index(&x, len);
    symbols_disk_save(d, id, &x);
    symbol_index_done(&x);
}

static uint64_t number(symbols_disk *d, const char *key)
{
    sonde_json_writer w;
    sonde_buf out;
    char want[64];
    const char *at;
    uint64_t value;

    sonde_buf_init(&out, 65536);
    sonde_json_writer_init(&w, &out);
    symbols_disk_write_json(d, &w);
    (void)snprintf(want, sizeof(want), "\"%s\":", key);
    at = strstr(sonde_buf_cstr(&out), want);
    assert_non_null(at);
    at += strlen(want);
    assert_status(sonde_parse_u64((sonde_str){ at, strspn(at, "0123456789") }, &value), SONDE_OK);
    sonde_buf_done(&out);
    return value;
}

static sonde_status load(symbols_disk *d, const elf_identity *id, size_t max_bytes)
{
    symbol_index x;
    sonde_status status;

    symbol_index_init(&x, max_bytes);
    status = symbols_disk_load(d, id, &x);
    if (status != SONDE_OK)
        assert_true(x.len == 0 && x.names.len == 0);
    symbol_index_done(&x);
    return status;
}

static void test_an_index_comes_back_as_it_went(void **state)
{
    symbol_index was, is;
    folder f;

    (void)state;
    open_folder(&f, 16u << 20);
    make_index(&was, MANY);
    symbols_disk_save(f.disk, &ours, &was);
    symbols_disk_close(f.disk); /* a new agent */
    assert_status(symbols_disk_open(f.path, 16u << 20, &f.disk), SONDE_OK);
    symbol_index_init(&is, 16u << 20);
    assert_status(symbols_disk_load(f.disk, &ours, &is), SONDE_OK);
    assert_int_equal(is.len, was.len);
    for (uint32_t i = 0; i < was.len; i++) {
        assert_int_equal(is.entries[i].address, was.entries[i].address);
        assert_int_equal(is.entries[i].size, was.entries[i].size);
        assert_int_equal(is.entries[i].rank, was.entries[i].rank);
        assert_int_equal(is.entries[i].is_func, was.entries[i].is_func);
        assert_string_equal(symbol_index_name(&is, &is.entries[i]),
                            symbol_index_name(&was, &was.entries[i]));
    }
    assert_int_equal(number(f.disk, "files"), 1);
    assert_int_equal(number(f.disk, "names_read"), 1);
    symbol_index_done(&is);
    symbol_index_done(&was);
    close_folder(&f);
}

static void path_of(const folder *f, const char *name, char out[512])
{
    (void)snprintf(out, 512, "%s/%s", f->path, name);
}

static void test_only_its_owner_may_read_it(void **state)
{
    char path[512];
    struct stat st;
    folder f;

    (void)state;
    open_folder(&f, 16u << 20);
    save(f.disk, &ours, MANY);
    path_of(&f, ours_name, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(chmod(path, 0622), 0); /* somebody else might have written it */
    assert_status(load(f.disk, &ours, 16u << 20), SONDE_ERR_NOT_FOUND);
    close_folder(&f);
}

static void test_what_is_not_worth_it_is_not_kept(void **state)
{
    symbol_index x;
    folder f;

    (void)state;
    open_folder(&f, 16u << 20);
    save(f.disk, &ours, SYMBOLS_DISK_LEAST - 1);
    make_index(&x, MANY);
    x.cut = true; /* with more room there are more symbols */
    symbols_disk_save(f.disk, &ours, &x);
    symbol_index_done(&x);
    assert_int_equal(number(f.disk, "files"), 0);
    assert_status(load(f.disk, &ours, 16u << 20), SONDE_ERR_NOT_FOUND);
    close_folder(&f);
}

/* Every byte matters: of the head all, of the rest some. */
static void test_a_byte_that_changed_is_noticed(void **state)
{
    char path[512];
    folder f;
    off_t size;

    (void)state;
    open_folder(&f, 16u << 20);
    path_of(&f, ours_name, path);
    save(f.disk, &ours, MANY);
    size = lseek(open(path, O_RDONLY), 0, SEEK_END);
    assert_true(size > 72 + 20 * (off_t)MANY);
    for (off_t at = 0; at < size; at += at < 72 ? 1 : 4999) {
        uint8_t byte;
        int fd;

        save(f.disk, &ours, MANY);
        fd = open(path, O_RDWR);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_int_equal(close(fd), 0);
        assert_status(load(f.disk, &ours, 16u << 20), SONDE_ERR_SYNTAX);
        assert_int_not_equal(access(path, F_OK), 0); /* it is to be made again */
    }
    save(f.disk, &ours, MANY);
    assert_int_equal(truncate(path, size - 1), 0);
    assert_status(load(f.disk, &ours, 16u << 20), SONDE_ERR_SYNTAX);
    close_folder(&f);
}

static void test_a_file_of_another_object_is_not_believed(void **state)
{
    elf_identity other = ours;
    char from[512], to[512];
    folder f;

    (void)state;
    open_folder(&f, 16u << 20);
    other.build_id[0] = '1';
    save(f.disk, &other, MANY);
    path_of(&f, "3131323334353637383961626364656667686900.names", from);
    path_of(&f, ours_name, to);
    assert_int_equal(rename(from, to), 0);
    assert_status(load(f.disk, &ours, 16u << 20), SONDE_ERR_SYNTAX);
    close_folder(&f);
}

/* Written with a checksum that is right; SONDE_OK: it is believed. */
static sonde_status believed(const folder *f, void (*spoil)(symbol_index *))
{
    symbol_index was, is;
    char path[512];
    uint64_t bytes;
    sonde_status status;
    int fd;

    make_index(&was, MANY);
    spoil(&was);
    path_of(f, "spoilt", path);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_status(symbol_image_write(fd, &ours, &was, &bytes), SONDE_OK);
    symbol_index_init(&is, 16u << 20);
    status = symbol_image_read(fd, &ours, &is);
    assert_int_equal(is.len, status == SONDE_OK ? was.len : 0);
    (void)close(fd);
    symbol_index_done(&is);
    symbol_index_done(&was);
    return status;
}

static void spoil_nothing(symbol_index *x)
{
    (void)x;
}

static void name_behind_the_names(symbol_index *x)
{
    x->entries[MANY / 2].name = (uint32_t)x->names.len;
}

static void name_at_the_last_byte(symbol_index *x)
{
    x->entries[MANY / 2].name = (uint32_t)x->names.len - 1;
}

static void same_address_twice(symbol_index *x)
{
    x->entries[MANY / 2].address = x->entries[MANY / 2 - 1].address;
}

static void rank_of_nothing(symbol_index *x)
{
    x->entries[MANY / 2].rank = SYMBOL_GLOBAL + 1;
}

static void names_without_an_end(symbol_index *x)
{
    x->names.data[x->names.len - 1] = 'x';
}

static void test_rows_that_cannot_be_are_refused(void **state)
{
    static const struct {
        const char *label;
        void (*spoil)(symbol_index *);
        sonde_status want;
    } rows[] = {
        { "nothing", spoil_nothing, SONDE_OK },
        { "the last byte of the names is an empty one", name_at_the_last_byte, SONDE_OK },
        { "a name behind them", name_behind_the_names, SONDE_ERR_SYNTAX },
        { "an address twice", same_address_twice, SONDE_ERR_SYNTAX },
        { "no such rank", rank_of_nothing, SONDE_ERR_SYNTAX },
        { "names without an end", names_without_an_end, SONDE_ERR_SYNTAX },
    };
    folder f;

    (void)state;
    open_folder(&f, 16u << 20);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (believed(&f, rows[i].spoil) != rows[i].want)
            fail_msg("%s", rows[i].label);
    close_folder(&f);
}

static void test_an_index_larger_than_the_memory_there_is_stays_where_it_is(void **state)
{
    folder f;

    (void)state;
    open_folder(&f, 16u << 20);
    save(f.disk, &ours, MANY);
    assert_status(load(f.disk, &ours, 4096), SONDE_ERR_TOO_BIG);
    assert_int_equal(number(f.disk, "names_too_big"), 1);
    assert_status(load(f.disk, &ours, 16u << 20), SONDE_OK);
    close_folder(&f);
}

static void test_the_one_unused_longest_makes_room(void **state)
{
    const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
    const struct timespec older[2] = { { .tv_sec = 500 }, { .tv_sec = 500 } };
    elf_identity id[3] = { ours, ours, ours };
    char path[512];
    uint64_t one;
    folder f;

    (void)state;
    open_folder(&f, 16u << 20);
    save(f.disk, &ours, MANY);
    one = number(f.disk, "bytes");
    close_folder(&f);

    open_folder(&f, one * 2 + one / 2);
    id[1].build_id[0] = '1';
    id[2].build_id[0] = '2';
    save(f.disk, &id[0], MANY);
    save(f.disk, &id[1], MANY);
    path_of(&f, ours_name, path);
    assert_int_equal(utimensat(AT_FDCWD, path, older, 0), 0);
    path[strlen(f.path) + 2] = '1'; /* id[1] */
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    assert_status(load(f.disk, &id[0], 16u << 20), SONDE_OK); /* used now */
    save(f.disk, &id[2], MANY);
    assert_int_equal(number(f.disk, "files"), 2);
    assert_int_equal(number(f.disk, "files_dropped"), 1);
    assert_true(number(f.disk, "bytes") <= one * 2 + one / 2);
    assert_status(load(f.disk, &id[0], 16u << 20), SONDE_OK);
    assert_status(load(f.disk, &id[1], 16u << 20), SONDE_ERR_NOT_FOUND);
    assert_status(load(f.disk, &id[2], 16u << 20), SONDE_OK);
    close_folder(&f);
}

static void test_one_file_does_not_take_it_all(void **state)
{
    folder f;

    (void)state;
    open_folder(&f, 100000);
    save(f.disk, &ours, MANY);
    assert_int_equal(number(f.disk, "names_too_big"), 1);
    assert_int_equal(number(f.disk, "files"), 0);
    assert_int_equal(number(f.disk, "bytes"), 0);
    close_folder(&f);
}

static void touch(const folder *f, const char *name)
{
    char path[512];
    int fd;

    path_of(f, name, path);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static void test_half_written_files_go_and_others_stay(void **state)
{
    char path[512];
    folder f;

    (void)state;
    open_folder(&f, 16u << 20);
    symbols_disk_close(f.disk);
    touch(&f, "0011.7.part");
    touch(&f, "notes.txt");
    touch(&f, "notes.part");
    assert_status(symbols_disk_open(f.path, 16u << 20, &f.disk), SONDE_OK);
    path_of(&f, "0011.7.part", path);
    assert_int_not_equal(access(path, F_OK), 0);
    path_of(&f, "notes.txt", path);
    assert_int_equal(access(path, F_OK), 0);
    path_of(&f, "notes.part", path);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(number(f.disk, "files"), 0);
    close_folder(&f);
}

static void test_a_folder_that_is_gone_is_counted(void **state)
{
    folder f;

    (void)state;
    open_folder(&f, 16u << 20);
    temp_dir_remove(f.path);
    save(f.disk, &ours, MANY);
    assert_int_equal(number(f.disk, "failed_writes"), 1);
    symbols_disk_close(f.disk);
    assert_status(symbols_disk_open("/proc/self/status/x", 1, &f.disk), SONDE_ERR_SYS);
}

static sonde_status without_memory(void *arg)
{
    symbols_disk *d = NULL;
    symbol_index x;
    sonde_status status = symbols_disk_open(arg, 16u << 20, &d);

    if (status != SONDE_OK)
        return status;
    symbol_index_init(&x, 16u << 20);
    status = symbols_disk_load(d, &ours, &x);
    symbol_index_done(&x);
    symbols_disk_close(d);
    return status;
}

static void test_without_memory_it_fails(void **state)
{
    folder f;

    (void)state;
    open_folder(&f, 16u << 20);
    save(f.disk, &ours, MANY);
    alloc_fail_each(without_memory, f.path);
    close_folder(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_index_comes_back_as_it_went),
        cmocka_unit_test(test_only_its_owner_may_read_it),
        cmocka_unit_test(test_what_is_not_worth_it_is_not_kept),
        cmocka_unit_test(test_a_byte_that_changed_is_noticed),
        cmocka_unit_test(test_a_file_of_another_object_is_not_believed),
        cmocka_unit_test(test_rows_that_cannot_be_are_refused),
        cmocka_unit_test(test_an_index_larger_than_the_memory_there_is_stays_where_it_is),
        cmocka_unit_test(test_the_one_unused_longest_makes_room),
        cmocka_unit_test(test_one_file_does_not_take_it_all),
        cmocka_unit_test(test_half_written_files_go_and_others_stay),
        cmocka_unit_test(test_a_folder_that_is_gone_is_counted),
        cmocka_unit_test(test_without_memory_it_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
