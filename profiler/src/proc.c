/* proc.c - open, read, close. */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <dirent.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/parse.h"

#define LIST_BYTES   4096u
#define STATUS_BYTES 4096u /* 1.5 KiB, and the groups */
#define SECCOMP      "\nSeccomp:\t"

/* As getdents64() writes them. */
typedef struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t bytes;
    uint8_t type;
    char name[];
} entry;

size_t sonde_prof__proc_read(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;
    size_t len = 0;

    if (fd < 0)
        return 0;
    while (len < cap - 1 && (n = read(fd, out + len, cap - 1 - len)) > 0)
        len += (size_t)n;
    (void)close(fd);
    out[len] = '\0';
    return n < 0 ? 0 : len;
}

size_t sonde_prof__proc_read_task(uint32_t tid, const char *name, char *out, size_t cap)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/task/%u/%s", (unsigned)tid, name);
    return sonde_prof__proc_read(path, out, cap);
}

sonde_str sonde_prof__proc_word(sonde_str text, uint32_t n)
{
    sonde_str word;

    do
        word = sonde_str_cut(&text, ' ');
    while (n-- > 0);
    if (word.len > 0 && word.ptr[word.len - 1] == '\n')
        word.len--;
    return word;
}

/* The name, field 2, may have blanks and brackets: what counts begins behind its last one. */
bool sonde_prof__proc_stat(uint32_t field, uint64_t *out)
{
    char text[1024];
    const char *behind_name = NULL;

    if (sonde_prof__proc_read("/proc/self/stat", text, sizeof(text)) > 0)
        behind_name = strrchr(text, ')');
    return behind_name &&
           sonde_parse_u64(sonde_prof__proc_word(sonde_str_from(behind_name), field - 2), out) ==
               SONDE_OK;
}

static void each_entry(const char *list, size_t bytes, void (*each)(void *user, uint32_t tid),
                       void *user)
{
    size_t at;
    uint64_t tid;

    for (at = 0; at < bytes; at += ((const entry *)(const void *)(list + at))->bytes) {
        const entry *e = (const entry *)(const void *)(list + at);

        if (sonde_parse_u64(sonde_str_from(e->name), &tid) == SONDE_OK && tid <= UINT32_MAX)
            each(user, (uint32_t)tid);
    }
}

bool sonde_prof__proc_tasks(void (*each)(void *user, uint32_t tid), void *user)
{
    _Alignas(8) char list[LIST_BYTES];
    int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long n = 0;

    if (fd < 0)
        return false;
    while ((n = syscall(SYS_getdents64, fd, list, sizeof(list))) > 0)
        each_entry(list, (size_t)n, each, user);
    (void)close(fd);
    return n == 0;
}

/* Not by prctl(PR_GET_SECCOMP): some filters end the process for that. */
bool sonde_prof__proc_is_filtered(void)
{
    char text[STATUS_BYTES];
    size_t len = sonde_prof__proc_read("/proc/thread-self/status", text, sizeof(text));
    const char *at = len > 0 ? strstr(text, SECCOMP) : NULL;

    if (!at) /* a kernel without filters says nothing, one that said more was not read to its end */
        return len == 0 || len == sizeof(text) - 1;
    return at[sizeof(SECCOMP) - 1] != '0';
}

uint32_t sonde_prof__proc_task_count(void)
{
    struct stat st;

    return stat("/proc/self/task", &st) == 0 && st.st_nlink > 2 ? (uint32_t)st.st_nlink - 2 : 0;
}
