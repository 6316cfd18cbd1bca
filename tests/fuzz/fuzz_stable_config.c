/* fuzz_stable_config.c - whatever a stable configuration file holds, reading it ends within its bounds,
 * and what it gives are names and values that can be read to their ends. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libtrace/src/stable_config.h"

static const char *look_up(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "ROLE") == 0 ? "web" : NULL;
}

/* Reads every byte. */
static size_t sum_of(sonde_str text)
{
    size_t sum = 0;
    size_t i;

    for (i = 0; i < text.len; i++)
        sum += (unsigned char)text.ptr[i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char arguments[] = "prog\0--mode=a\0";
    sonde__process process = { .variable = look_up,
                               .language = SONDE_STR("c"),
                               .arguments = SONDE_STR(arguments) };
    static sonde__stable s;
    sonde_status status =
        sonde__stable_parse((sonde_str){ (const char *)data, size }, &process, &s);
    uint32_t i;

    if ((status != SONDE_OK && s.len > 0) || s.len > SONDE__STABLE_MAX)
        __builtin_trap();
    for (i = 0; i < s.len; i++)
        if (sum_of(s.entries[i].name) + sum_of(s.entries[i].value) > size * 1000 + 10000000)
            __builtin_trap();
    sonde__stable_done(&s);
    return 0;
}
