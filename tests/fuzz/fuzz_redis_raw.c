/* fuzz_redis_raw.c - commands of Redis, and the same bytes as one command.
 *
 * Property   no input crashes; nothing comes out longer than it was by more than one `?` an argument; what comes
 *            out comes out the same again; of one command at most its name and five words are left. */
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
    require(obfuscate_redis_arguments(text, &out) == SONDE_OK);
    require(out.len <= size);
    require(obfuscate_redis_arguments(sonde_buf_str(&out), &again) == SONDE_OK);
    require(sonde_str_eq(sonde_buf_str(&out), sonde_buf_str(&again)));
    require(obfuscate_redis_all_arguments(text, &out) == SONDE_OK);
    require(out.len <= 2 * size);
    sonde_buf_done(&out);
    sonde_buf_done(&again);
    return 0;
}
