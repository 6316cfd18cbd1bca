/* fuzz_memcached.c - a command of memcached with what it stores.
 *
 * Property   no input crashes; the command is a piece of the text, before the first end of a line, without blanks
 *            around it. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str text = { (const char *)data, size };
    sonde_str command = obfuscate_memcached(text);
    size_t at;

    require(command.len == 0 ||
            (command.ptr >= text.ptr && command.ptr + command.len <= text.ptr + text.len));
    require(!sonde_str_find(command, SONDE_STR("\r\n"), &at));
    require(!sonde_str_starts(command, SONDE_STR(" ")) && !sonde_str_ends(command, SONDE_STR(" ")));
    return 0;
}
