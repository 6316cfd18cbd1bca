/* fuzz_base_text.c - what base reads from text it writes back.
 *
 * Property   no input crashes; a double that parses prints as text that parses to the same double, no
 *            longer than SONDE_DOUBLE_MAX_LEN; integers likewise; a version is part of its file; text is
 *            valid UTF-8 exactly when decoding walks to its end; a cut never makes valid text invalid;
 *            failures leave the output alone. */
#include <stdlib.h>
#include <string.h>

#include "base/format.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/parse.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static void check_double(sonde_str s)
{
    char out[SONDE_DOUBLE_MAX_LEN];
    double v = 0.25, again;
    size_t len;

    if (sonde_parse_double(s, &v) != SONDE_OK) {
        require(v == 0.25);
        return;
    }
    len = sonde_format_double(v, out);
    require(len <= sizeof(out));
    require(sonde_parse_double((sonde_str){ out, len }, &again) == SONDE_OK);
    require(memcmp(&v, &again, sizeof(v)) == 0);
}

static void check_integers(sonde_str s)
{
    char out[SONDE_I64_MAX_LEN];
    uint64_t hex = 7, again;
    int64_t v = 7, back;

    if (sonde_parse_i64(s, &v) == SONDE_OK) {
        require(sonde_parse_i64((sonde_str){ out, sonde_format_i64(v, out) }, &back) == SONDE_OK);
        require(v == back);
    }
    if (sonde_hex_parse_u64(s, 1, &hex) == SONDE_OK) {
        sonde_hex_u64(hex, out);
        require(sonde_hex_parse_u64((sonde_str){ out, 16 }, 0, &again) == SONDE_OK && hex == again);
    }
}

static void check_units(sonde_str s)
{
    uint64_t v = 7;
    int64_t unix_ns = -1;
    bool yes;

    require(sonde_parse_rfc3339(s, &unix_ns) == SONDE_OK || unix_ns == -1);
    require(sonde_parse_duration_ns(s, 1, &v) == SONDE_OK || v == 7);
    v = 7;
    require(sonde_parse_bytes(s, &v) == SONDE_OK || v == 7);
    (void)sonde_parse_bool(s, &yes);
}

static void check_utf8(sonde_str s)
{
    sonde_str rest = s;
    size_t len, max;
    unsigned rune;

    while (rest.len && (len = sonde_utf8_decode(rest, &rune)) != 0) {
        char out[4];

        require(sonde_utf8_encode(rune, out) == len && memcmp(out, rest.ptr, len) == 0);
        rest = sonde_str_sub(rest, len, rest.len);
    }
    require(sonde_utf8_valid(s) == (rest.len == 0));
    for (max = 0; max < 8; max++) {
        len = sonde_utf8_cut(s, max);
        require(len <= max && (rest.len != 0 || sonde_utf8_valid(sonde_str_sub(s, 0, len))));
    }
}

static void check_os_release(sonde_str s)
{
    sonde_str version = sonde_os_release_version(s);

    require(version.len == 0 ||
            (version.ptr >= s.ptr && version.ptr + version.len <= s.ptr + s.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str s = { (const char *)data, size };
    const char *quoted = SONDE_LOG_QUOTE(s);

    require(strlen(quoted) >= 2 && strlen(quoted) < 272);
    check_double(s);
    check_integers(s);
    check_units(s);
    check_utf8(s);
    check_os_release(s);
    return 0;
}
