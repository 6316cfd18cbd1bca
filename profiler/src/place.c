/* place.c - where a blocked thread is, from /proc/self/task/TID/syscall. */
#include "wall.h"

#include <sys/syscall.h>

#include "base/parse.h"
#include "base/str.h"

#include "proc.h"

static const struct {
    int number;
    sonde_prof__state state;
} calls[] = {
    { SYS_read, SONDE_PROF__IN_IO },
    { SYS_write, SONDE_PROF__IN_IO },
    { SYS_readv, SONDE_PROF__IN_IO },
    { SYS_writev, SONDE_PROF__IN_IO },
    { SYS_pread64, SONDE_PROF__IN_IO },
    { SYS_pwrite64, SONDE_PROF__IN_IO },
    { SYS_preadv, SONDE_PROF__IN_IO },
    { SYS_pwritev, SONDE_PROF__IN_IO },
    { SYS_recvfrom, SONDE_PROF__IN_IO },
    { SYS_recvmsg, SONDE_PROF__IN_IO },
    { SYS_recvmmsg, SONDE_PROF__IN_IO },
    { SYS_sendto, SONDE_PROF__IN_IO },
    { SYS_sendmsg, SONDE_PROF__IN_IO },
    { SYS_sendmmsg, SONDE_PROF__IN_IO },
    { SYS_sendfile, SONDE_PROF__IN_IO },
    { SYS_splice, SONDE_PROF__IN_IO },
    { SYS_accept, SONDE_PROF__IN_IO },
    { SYS_accept4, SONDE_PROF__IN_IO },
    { SYS_connect, SONDE_PROF__IN_IO },
    { SYS_fsync, SONDE_PROF__IN_IO },
    { SYS_fdatasync, SONDE_PROF__IN_IO },
    { SYS_sync_file_range, SONDE_PROF__IN_IO },
    { SYS_openat, SONDE_PROF__IN_IO },
    { SYS_io_getevents, SONDE_PROF__IN_POLL },
    { SYS_futex, SONDE_PROF__IN_LOCK },
    { SYS_flock, SONDE_PROF__IN_LOCK },
    { SYS_nanosleep, SONDE_PROF__IN_SLEEP },
    { SYS_clock_nanosleep, SONDE_PROF__IN_SLEEP },
    { SYS_ppoll, SONDE_PROF__IN_POLL },
    { SYS_pselect6, SONDE_PROF__IN_POLL },
    { SYS_epoll_pwait, SONDE_PROF__IN_POLL },
#ifdef SYS_epoll_pwait2
    { SYS_epoll_pwait2, SONDE_PROF__IN_POLL },
#endif
#ifdef SYS_io_uring_enter
    { SYS_io_uring_enter, SONDE_PROF__IN_POLL },
#endif
#ifdef SYS_open
    { SYS_open, SONDE_PROF__IN_IO },
    { SYS_poll, SONDE_PROF__IN_POLL },
    { SYS_select, SONDE_PROF__IN_POLL },
    { SYS_epoll_wait, SONDE_PROF__IN_POLL },
    { SYS_pause, SONDE_PROF__IN_WAIT },
#endif
    { SYS_wait4, SONDE_PROF__IN_WAIT },
    { SYS_waitid, SONDE_PROF__IN_WAIT },
    { SYS_rt_sigsuspend, SONDE_PROF__IN_WAIT },
    { SYS_rt_sigtimedwait, SONDE_PROF__IN_WAIT },
    { SYS_msgrcv, SONDE_PROF__IN_WAIT },
    { SYS_semtimedop, SONDE_PROF__IN_WAIT },
};

static sonde_prof__state state_of(uint64_t number)
{
    size_t i;

    for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if ((uint64_t)calls[i].number == number)
            return calls[i].state;
    return SONDE_PROF__BLOCKED;
}

static bool hex(sonde_str text, uint64_t *out)
{
    size_t i;

    *out = 0;
    if (!sonde_str_starts(text, SONDE_STR("0x")) || text.len < 3 || text.len > 18)
        return false;
    for (i = 2; i < text.len; i++) {
        char c = text.ptr[i];
        unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10u
                                            : 16u;

        if (d == 16)
            return false;
        *out = *out << 4 | d;
    }
    return true;
}

bool sonde_prof__place_read(const char *text, sonde_prof__place *out)
{
    sonde_str line = sonde_str_from(text), first = sonde_prof__proc_word(line, 0);
    uint64_t number = 0;
    uint32_t at = 7;

    *out = (sonde_prof__place){ SONDE_PROF__RUNNING, 0, 0 };
    if (sonde_str_eq(first, SONDE_STR("running")))
        return true;
    if (sonde_str_eq(first, SONDE_STR("-1"))) {
        out->state = SONDE_PROF__BLOCKED;
        at = 1;
    } else if (sonde_parse_u64(first, &number) == SONDE_OK) {
        out->state = state_of(number);
    } else {
        return false;
    }
    return hex(sonde_prof__proc_word(line, at), &out->sp) &&
           hex(sonde_prof__proc_word(line, at + 1), &out->pc);
}
