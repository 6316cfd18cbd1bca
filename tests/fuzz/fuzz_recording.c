/* fuzz_recording.c - property: whatever a file says, reading it as a recording ends, gives views into it, and
 * what it gives is written as the same bytes again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/recording.h"

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void check_entry(const recording_entry *e, const char *from, const char *to)
{
    sonde_str headers = e->headers, name, value;
    sonde_buf again;

    sonde_buf_init(&again, RECORDING_ENTRY_MAX);
    recording_write_entry(&again, e);
    must(again.status == SONDE_OK && again.len == (size_t)(to - from));
    must(memcmp(again.data, from, again.len) == 0);
    sonde_buf_done(&again);
    while (recording_header(&headers, &name, &value))
        must(name.len + value.len <= e->headers.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    recording_reader r;
    recording_entry e;
    const char *from;

    if (recording_open(&r, (sonde_str){ (const char *)data, size }, NULL) != SONDE_OK)
        return 0;
    for (from = r.rest.ptr; recording_next(&r, &e) == SONDE_OK; from = r.rest.ptr)
        check_entry(&e, from, e.body.ptr + e.body.len);
    return 0;
}
