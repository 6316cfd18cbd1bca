/* runtime_metrics.c - getrusage(), /proc/self and mallinfo2(). */
#include "runtime_metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/parse.h"

static sonde_str read_file(const char *path, char *to, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, to, cap);

    if (fd >= 0)
        (void)close(fd);
    return (sonde_str){ to, n > 0 ? (size_t)n : 0 };
}

static int64_t number(sonde_str text)
{
    int64_t v = -1;

    return sonde_parse_i64(text, &v) == SONDE_OK ? v : -1;
}

/* pid (name) state ...: the name may hold blanks and brackets; threads are field 20. */
int64_t sonde__runtime_threads(sonde_str stat)
{
    sonde_str field = { NULL, 0 };
    int i;

    while (stat.len > 0 && memchr(stat.ptr, ')', stat.len))
        (void)sonde_str_cut(&stat, ')');
    (void)sonde_str_cut(&stat, ' ');
    for (i = 3; i <= 20; i++)
        field = sonde_str_cut(&stat, ' ');
    return number(field);
}

static int64_t pages(sonde_str text, int64_t page_bytes)
{
    int64_t n = number(text);
    int64_t bytes;

    return n < 0 || __builtin_mul_overflow(n, page_bytes, &bytes) ? -1 : bytes;
}

void sonde__runtime_memory(sonde_str statm, int64_t page_bytes, sonde__runtime *out)
{
    out->virtual_bytes = pages(sonde_str_cut(&statm, ' '), page_bytes);
    out->rss_bytes = pages(sonde_str_cut(&statm, ' '), page_bytes);
}

/* Kernels from 6.2 tell the number as the size of the folder. */
static int64_t count_fds(void)
{
    struct stat st;
    int64_t n = 0;
    DIR *dir;

    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return st.st_size;
    dir = opendir("/proc/self/fd");
    if (!dir)
        return -1;
    while (n < SONDE__FDS_COUNTED_MAX && readdir(dir))
        n++;
    (void)closedir(dir);
    return n > 3 ? n - 3 : 0; /* ".", ".." and the folder's own */
}

static int64_t heap_in_use(void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
    struct mallinfo2 m = mallinfo2();

    return (int64_t)(m.uordblks + m.hblkhd);
#else
    return -1;
#endif
}

static int64_t us_of(const struct timeval *t)
{
    return (int64_t)t->tv_sec * 1000000 + t->tv_usec;
}

void sonde__runtime_read(sonde__runtime *out)
{
    struct rusage u = { .ru_maxrss = 0 };
    char text[1024];

    (void)getrusage(RUSAGE_SELF, &u);
    *out = (sonde__runtime){
        .mono_ns = sonde_mono_ns(),
        .user_us = us_of(&u.ru_utime),
        .system_us = us_of(&u.ru_stime),
        .minor_faults = u.ru_minflt,
        .major_faults = u.ru_majflt,
        .voluntary_switches = u.ru_nvcsw,
        .involuntary_switches = u.ru_nivcsw,
        .heap_bytes = heap_in_use(),
        .fds = count_fds(),
    };
    out->threads = sonde__runtime_threads(read_file("/proc/self/stat", text, sizeof(text)));
    sonde__runtime_memory(read_file("/proc/self/statm", text, sizeof(text)), sysconf(_SC_PAGESIZE),
                          out);
}

/* -- reporting ------------------------------------------------------------------------------------ */

static void put_now(sonde_statsd *s, const char *name, int64_t value)
{
    if (value >= 0)
        sonde_statsd_gauge(s, name, (double)value, NULL);
}

static void put_per_second(sonde_statsd *s, const char *name, int64_t before, int64_t now,
                           double seconds)
{
    if (now >= before)
        sonde_statsd_gauge(s, name, (double)(now - before) / seconds, NULL);
}

void sonde__runtime_report(sonde_statsd *s, const sonde__runtime *before, const sonde__runtime *now)
{
    double seconds = (double)(now->mono_ns - before->mono_ns) / SONDE_NS_PER_S;

    put_now(s, "runtime.native.mem.rss", now->rss_bytes);
    put_now(s, "runtime.native.mem.virtual", now->virtual_bytes);
    put_now(s, "runtime.native.mem.heap_used", now->heap_bytes);
    put_now(s, "runtime.native.threads", now->threads);
    put_now(s, "runtime.native.fds", now->fds);
    if (now->mono_ns <= before->mono_ns)
        return;
    put_per_second(s, "runtime.native.cpu.user", before->user_us, now->user_us, seconds * 1000);
    put_per_second(s, "runtime.native.cpu.system", before->system_us, now->system_us,
                   seconds * 1000);
    put_per_second(s, "runtime.native.page_faults.minor", before->minor_faults, now->minor_faults,
                   seconds);
    put_per_second(s, "runtime.native.page_faults.major", before->major_faults, now->major_faults,
                   seconds);
    put_per_second(s, "runtime.native.ctx_switches.voluntary", before->voluntary_switches,
                   now->voluntary_switches, seconds);
    put_per_second(s, "runtime.native.ctx_switches.involuntary", before->involuntary_switches,
                   now->involuntary_switches, seconds);
}
