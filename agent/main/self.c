/* self.c - memory and CPU time of this process. */
#include "self.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/str.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SANITIZED 1 /* most of the memory is the sanitizer's */
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define SANITIZED 1
#    endif
#endif
#ifndef SANITIZED
#    define SANITIZED 0
#endif

/* Second and third field of /proc/self/statm, in bytes; 0 when it cannot be read. */
static void read_statm(uint64_t *out_resident, uint64_t *out_of_files)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), resident = 0, of_files = 0;
    char text[128];
    sonde_str s;
    ssize_t len;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

    *out_resident = *out_of_files = 0;
    if (fd < 0)
        return;
    len = read(fd, text, sizeof(text));
    (void)close(fd);
    s = (sonde_str){ text, len > 0 ? (size_t)len : 0 };
    (void)sonde_str_cut(&s, ' ');
    if (sonde_parse_u64(sonde_str_cut(&s, ' '), &resident) != SONDE_OK ||
        sonde_parse_u64(sonde_str_cut(&s, ' '), &of_files) != SONDE_OK)
        return;
    *out_resident = resident * page;
    *out_of_files = of_files * page;
}

uint64_t self_memory_bytes(void)
{
    uint64_t resident, of_files;

    read_statm(&resident, &of_files);
    return SANITIZED || of_files > resident ? 0 : resident - of_files;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

void self_measure(uint64_t *out_memory_bytes, double *out_cpu_user_s)
{
    struct rusage use = { 0 };

    (void)getrusage(RUSAGE_SELF, &use);
    *out_memory_bytes = self_memory_bytes();
    *out_cpu_user_s = seconds(use.ru_utime);
}

void self_write_json(void *unused, sonde_json_writer *w)
{
    struct rusage use = { 0 };
    uint64_t resident, of_files;

    (void)unused;
    read_statm(&resident, &of_files);
    (void)getrusage(RUSAGE_SELF, &use);
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "resident_bytes", resident);
    sonde_json_put_u64(w, "resident_of_files_bytes", of_files);
    sonde_json_put_u64(w, "resident_max_bytes", (uint64_t)use.ru_maxrss * 1024);
    sonde_json_put_double(w, "cpu_user_s", seconds(use.ru_utime));
    sonde_json_put_double(w, "cpu_system_s", seconds(use.ru_stime));
    sonde_json_end_object(w);
}
