/* fuzz_crash_box.c - property: whatever a file says, reading it as a black box ends, stays within its bounds, and
 * gives spans with valid text, a duration of at least 1 and a start before the death. */
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/mman.h>

#include "agent/crash/box.h"

#define DEATH INT64_C(1700000010000000000)

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void check(const payload *p)
{
    uint32_t i, k;

    for (i = 0; i < p->chunks_len; i++)
        for (k = 0; k < p->chunks[i].spans_len; k++) {
            const payload_span *s = &p->chunks[i].spans[k];

            must(s->span_id != 0 && s->duration >= 1 && s->start < DEATH + 1);
            must(sonde_utf8_valid(s->name) && sonde_utf8_valid(s->service) &&
                 sonde_utf8_valid(s->resource));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const box_death death = { BOX_UNKNOWN, 0, 1, DEATH, NULL };
    int fd = memfd_create("box", MFD_CLOEXEC), signo = 0;
    box_counts n;
    payload *p;

    if (fd < 0)
        return 0;
    must(write(fd, data, size) == (ssize_t)size);
    (void)box_state(fd, &signo);
    p = box_read(fd, &death, &n);
    if (p)
        check(p);
    payload_free(p);
    (void)close(fd);
    return 0;
}
