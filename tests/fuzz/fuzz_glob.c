/* fuzz_glob.c - a pattern, a NUL, a text.
 *
 * Property   no input crashes; a text without `*` and `?` matches itself as a pattern, and so does any
 *            pattern with a `*` before or behind it that matches without; `*` matches everything. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static void check_wider(sonde_str pattern, sonde_str text)
{
    char wider[258];

    if (pattern.len > 256 || !sonde_glob_match(pattern, text))
        return;
    memcpy(wider + 1, pattern.len ? pattern.ptr : "", pattern.len);
    wider[0] = wider[pattern.len + 1] = '*';
    require(sonde_glob_match((sonde_str){ wider, pattern.len + 1 }, text));
    require(sonde_glob_match((sonde_str){ wider, pattern.len + 2 }, text));
    require(sonde_glob_match((sonde_str){ wider + 1, pattern.len + 1 }, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str text = { (const char *)data, size };
    sonde_str pattern = sonde_str_cut(&text, '\0');
    bool plain = !memchr(text.len ? text.ptr : "", '*', text.len) &&
                 !memchr(text.len ? text.ptr : "", '?', text.len);

    check_wider(pattern, text);
    require(!plain || sonde_glob_match(text, text));
    require(!sonde_glob_is_any(pattern) || sonde_glob_match(pattern, text));
    require(sonde_glob_match(SONDE_STR("*"), text));
    return 0;
}
