/* symbols_name.c - readable names of C++ and Rust functions.
 *
 * libiberty's demangler recurses by the name's own structure; its limit (DMGL's default of 2048 levels) holds
 * because DMGL_NO_RECURSE_LIMIT is not given, and names beyond DEMANGLE_MAX_BYTES stay as they are.
 */
#include <libiberty/demangle.h>

#include <stdlib.h>
#include <string.h>

#include "symbols_internal.h"

#define DEMANGLE_MAX_BYTES 4096

bool symbol_demangle(const char *mangled, sonde_buf *out)
{
    char *text;

    if (mangled[0] != '_' || (mangled[1] != 'Z' && mangled[1] != 'R') ||
        strlen(mangled) > DEMANGLE_MAX_BYTES)
        return false;
    text = rust_demangle(mangled, 0); /* also tells legacy Rust names from C++ */
    if (!text && mangled[1] == 'Z')
        text = cplus_demangle_v3(mangled, DMGL_PARAMS | DMGL_ANSI);
    if (!text)
        return false;
    sonde_buf_append(out, text, strlen(text) + 1);
    free(text); /* libiberty's malloc */
    return out->status == SONDE_OK;
}
