/* settle.c - lets go of clean pages of files, and of the allocator's spare ones.
 *
 * Only what was never written: a page of a library that was relocated is a page of ours by then, and letting
 * go of it would bring the file's bytes back. */
#include "settle.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <sys/mman.h>

#include "base/hex.h"

#define LINE_ROOM 4600 /* a path of 4096, and what stands before it */

/* "7f3a10000000-7f3a10028000 r-xp 00000000 08:01 1234    /usr/lib/libc.so.6" */
static bool opens_mapping(settle_mapping *m, sonde_str line)
{
    sonde_str from = sonde_str_cut(&line, '-'), to = sonde_str_cut(&line, ' ');
    uint64_t start, end;

    if (sonde_hex_parse_u64(from, 0, &start) != SONDE_OK ||
        sonde_hex_parse_u64(to, 0, &end) != SONDE_OK)
        return false;
    m->start = (size_t)start;
    m->end = (size_t)end;
    m->clean_file = line.len > 4 && line.ptr[1] == '-' && line.ptr[3] == 'p' &&
                    memchr(line.ptr, '/', line.len) != NULL;
    return true;
}

bool settle_line(settle_mapping *m, sonde_str line)
{
    const sonde_str anonymous = SONDE_STR("Anonymous:");

    if (opens_mapping(m, line) || !m->clean_file || !sonde_str_starts(line, anonymous))
        return false;
    line = sonde_str_sub(line, anonymous.len, line.len);
    return sonde_str_eq(sonde_str_trim(line), SONDE_STR("0 kB"));
}

void trim_memory(void)
{
    (void)malloc_trim(0);
}

void settle_memory(void)
{
    settle_mapping m = { 0, 0, false };
    char line[LINE_ROOM];
    FILE *f = fopen("/proc/self/smaps", "re");

    trim_memory();
    if (!f)
        return;
    while (fgets(line, sizeof(line), f))
        if (settle_line(&m, (sonde_str){ line, strcspn(line, "\n") }))
            (void)madvise((void *)m.start, m.end - m.start, MADV_DONTNEED);
    (void)fclose(f);
}
