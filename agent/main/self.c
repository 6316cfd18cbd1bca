/* self.c - memory and CPU time of this process. */
#include "self.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/str.h"

/* Second field of /proc/self/statm, in pages; 0 when it cannot be read. */
static uint64_t resident_bytes(void)
{
    char text[128];
    sonde_str s, field;
    uint64_t pages = 0;
    ssize_t len;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    len = read(fd, text, sizeof(text));
    (void)close(fd);
    s = (sonde_str){ text, len > 0 ? (size_t)len : 0 };
    (void)sonde_str_cut(&s, ' ');
    field = sonde_str_cut(&s, ' ');
    if (sonde_parse_u64(field, &pages) != SONDE_OK)
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

void self_write_json(void *unused, sonde_json_writer *w)
{
    struct rusage use = { 0 };

    (void)unused;
    (void)getrusage(RUSAGE_SELF, &use);
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "resident_bytes", resident_bytes());
    sonde_json_put_u64(w, "resident_max_bytes", (uint64_t)use.ru_maxrss * 1024);
    sonde_json_put_double(w, "cpu_user_s", seconds(use.ru_utime));
    sonde_json_put_double(w, "cpu_system_s", seconds(use.ru_stime));
    sonde_json_end_object(w);
}
