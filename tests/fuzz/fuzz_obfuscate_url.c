/* fuzz_obfuscate_url.c - an address, with all that can be taken out of it.
 *
 * Property   no input crashes; nothing comes out longer than it was, but `?` for what is no address; without
 *            query and user there is none to take out again; segments of the path keep no digit. */
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
    sonde_buf out, again;

    if (size > 1u << 16)
        return 0;
    sonde_buf_init(&out, 1u << 20);
    sonde_buf_init(&again, 1u << 20);
    for (unsigned what = 0; what < 4; what++) {
        if (!obfuscate_url(text, what, &out))
            continue;
        require(out.len <= size + 1);
        require(sonde_utf8_valid(sonde_buf_str(&out)) || !sonde_utf8_valid(text));
        require(what & OBFUSCATE_URL_PATH_DIGITS ||
                !obfuscate_url(sonde_buf_str(&out), what, &again));
    }
    sonde_buf_done(&out);
    sonde_buf_done(&again);
    return 0;
}
