/* fuzz_obfuscate.c - a statement of SQL in every mode, and the same bytes as commands of Redis.
 *
 * Property   no input crashes; what comes out is UTF-8 and at most three times as long; without quotes in the
 *            statement no word of it begins with a digit; other modes than the default take any text; commands
 *            are not longer than they were. */
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

/* Dialect and switches differ from length to length. */
static void check_modes(sonde_str text, sonde_buf *out, sonde_buf *tables)
{
    bool literal = false;
    unsigned mode;

    for (mode = SONDE_SQL_DEFAULT_MODE; mode < SONDE_SQL_UNKNOWN_MODE; mode++) {
        const sonde_sql_options options = { .flags = (unsigned)(text.len % 16),
                                            .literal_escapes = &literal,
                                            .tables = text.len % 2 ? tables : NULL,
                                            .dialect =
                                                (sonde_sql_dialect)(text.len % SONDE_SQL_DIALECTS),
                                            .mode = (sonde_sql_mode)mode };
        sonde_status status = sonde_obfuscate_sql_with(text, &options, out);

        require(status == SONDE_OK || status == SONDE_ERR_SYNTAX);
        require(status == SONDE_OK || mode == SONDE_SQL_DEFAULT_MODE || !sonde_utf8_valid(text));
        if (status != SONDE_OK)
            continue;
        require(out->len <= 3 * text.len + 3);
        require(sonde_utf8_valid(sonde_buf_str(out)));
        require(!options.tables || sonde_utf8_valid(sonde_buf_str(tables)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str text = { (const char *)data, size };
    bool literal = false;
    sonde_buf out, tables;

    if (size > 1u << 16)
        return 0;
    sonde_buf_init(&out, 1u << 20);
    sonde_buf_init(&tables, 1u << 20);
    if (sonde_obfuscate_sql(text, &literal, &out) == SONDE_OK) {
        require(out.len > 0 && out.len <= 3 * size);
        require(sonde_utf8_valid(sonde_buf_str(&out)));
        require(has_quotes(text) || !has_number(sonde_buf_str(&out)));
    }
    check_modes(text, &out, &tables);
    require(sonde_obfuscate_redis(text, &out) == SONDE_OK);
    require(out.len <= size + 4);
    sonde_buf_done(&out);
    sonde_buf_done(&tables);
    return 0;
}
