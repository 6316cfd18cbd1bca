/* fuzz_obfuscate_json.c - a document, obfuscated with a key whose value stays and one that holds SQL.
 *
 * Property   no input crashes; what comes out is UTF-8 if what went in was, and at most three times as long but
 *            for what says that SQL failed; without both keys a whole document comes out the same again, and no
 *            digit stands outside its quotes. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "agent/obfuscate/obfuscators.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static bool has_bare_digit(sonde_str s)
{
    bool quoted = false;

    for (size_t i = 0; i < s.len; i++) {
        if (quoted && s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == '"')
            quoted = !quoted;
        else if (!quoted && s.ptr[i] >= '0' && s.ptr[i] <= '9')
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const sonde_str keep[] = { { "k", 1 } }, sql[] = { { "q", 1 } };
    bool literal = false;
    const sonde_sql_options options = { .literal_escapes = &literal };
    const obfuscate_json_options both = { { keep, 1 }, { sql, 1 }, &options },
                                 none = { .sql = NULL };
    sonde_str text = { (const char *)data, size };
    sonde_buf out, again;

    if (size > 1u << 16)
        return 0;
    sonde_buf_init(&out, 1u << 24);
    sonde_buf_init(&again, 1u << 24);
    require(obfuscate_json(text, &both, &out) == SONDE_OK);
    require(sonde_utf8_valid(sonde_buf_str(&out)) || !sonde_utf8_valid(text));
    require(obfuscate_json(text, &none, &out) == SONDE_OK);
    require(out.len <= 3 * size + 3);
    require(!has_bare_digit(sonde_buf_str(&out)));
    if (!sonde_str_ends(sonde_buf_str(&out), SONDE_STR("..."))) {
        require(obfuscate_json(sonde_buf_str(&out), &none, &again) == SONDE_OK);
        require(sonde_str_eq(sonde_buf_str(&out), sonde_buf_str(&again)));
    }
    sonde_buf_done(&out);
    sonde_buf_done(&again);
    return 0;
}
