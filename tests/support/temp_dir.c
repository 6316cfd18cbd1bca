/* temp_dir.c - makes a folder under TMPDIR and removes it with what is in it. */
#include "support/temp_dir.h"

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#define BASE_MAX_BYTES 20u /* for paths of sockets, which have 107 bytes, and arrays of tests */

void temp_dir_make(char *out_path, size_t cap)
{
    const char *base = getenv("TMPDIR");
    bool fits = base && strlen(base) <= BASE_MAX_BYTES;
    int n = snprintf(out_path, cap, "%s/sonde-test-XXXXXX", fits ? base : "/tmp");

    if (n < 0 || (size_t)n >= cap || !mkdtemp(out_path)) {
        perror("temp_dir_make");
        exit(1);
    }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

void temp_dir_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
