/* fuzz_obfuscate.c - a statement of SQL, and the same bytes as commands of Redis.
 *
 * Property   no input crashes; what comes out is UTF-8 and at most three times as long; without quotes in the
 *            statement no word of it begins with a digit; commands are not longer than they were. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/obfuscate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static bool has_quotes(sonde_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++)
        if (s.ptr[i] == '"' || s.ptr[i] == '`')
            return true;
    return false;
}

static bool has_number(sonde_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++)
        if (s.ptr[i] >= '0' && s.ptr[i] <= '9' && (i == 0 || s.ptr[i - 1] == ' '))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str text = { (const char *)data, size };
    bool literal = false;
    sonde_buf out;

    if (size > 1u << 16)
        return 0;
    sonde_buf_init(&out, 1u << 20);
    if (sonde_obfuscate_sql(text, &literal, &out) == SONDE_OK) {
        require(out.len > 0 && out.len <= 3 * size);
        require(sonde_utf8_valid(sonde_buf_str(&out)));
        require(has_quotes(text) || !has_number(sonde_buf_str(&out)));
    }
    require(sonde_obfuscate_redis(text, &out) == SONDE_OK);
    require(out.len <= size + 4);
    sonde_buf_done(&out);
    return 0;
}
