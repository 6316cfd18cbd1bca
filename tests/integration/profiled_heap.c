/* profiled_heap - allocates what is known beforehand, from functions that do nothing else; links nothing of ours.
 *
 * "go" does it all and answers when it is done; the next line ends it, with the blocks still there. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/mman.h>

#include "profiled_late.h"

#define APART __attribute__((noinline, noclone))
#define USED(block)                                                                                \
    do {                                                                                           \
        void *volatile used = (block);                                                             \
        (void)used;                                                                                \
    } while (0)

static void *volatile kept[70000];
static size_t kept_len;

/* Now and then, so that the rings are emptied as in a program that also does other things. */
static void breathe(int i, int each)
{
    const struct timespec pause = { 0, 1000000 };

    if (i % each == 0)
        (void)nanosleep(&pause, NULL);
}

static APART void small_and_freed(void)
{
    int i;

    for (i = 0; i < 2000000; i++) {
        void *p = malloc(64);

        USED(p);
        free(p);
        breathe(i, 10000);
    }
}

static APART void large_and_freed(void)
{
    int i;

    for (i = 0; i < 200; i++) {
        void *p = calloc(1000, 1000);

        USED(p);
        free(p);
        breathe(i, 4);
    }
}

static APART void kept_blocks(void)
{
    int i;

    for (i = 0; i < 40000; i++) {
        kept[kept_len++] = malloc(i % 2 ? 1000 : 3000);
        breathe(i, 500);
    }
}

/* Of what it allocates half is given back. */
static APART void half_kept(void)
{
    int i;

    for (i = 0; i < 20000; i++) {
        void *p = NULL;

        if (posix_memalign(&p, 256, 4096) != 0)
            abort();
        if (i % 2)
            free(p);
        else
            kept[kept_len++] = p;
        breathe(i, 200);
    }
}

static APART void grown(void)
{
    int i, step;

    for (i = 0; i < 2000; i++) {
        char *p = NULL;

        for (step = 1; step <= 4; step++) {
            char *more = realloc(p, (size_t)step * 2500);

            if (!more)
                abort();
            p = more;
        }
        kept[kept_len++] = p;
        breathe(i, 30);
    }
}

static APART void mapped(void)
{
    const size_t bytes = (size_t)8 << 20;
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || munmap(p, bytes / 4) != 0)
        abort();
}

int main(void)
{
    char line[64];

    while (fgets(line, sizeof(line), stdin) && strcmp(line, "go\n") != 0)
        ;
    load_late();
    small_and_freed();
    large_and_freed();
    kept_blocks();
    half_kept();
    grown();
    mapped();
    printf("{\"kept\": %zu}\n", kept_len);
    (void)fflush(stdout);
    return fgets(line, sizeof(line), stdin) ? 0 : 1;
}
