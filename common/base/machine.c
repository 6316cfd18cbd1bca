/* machine.c - uname() and /etc/os-release. */
#include "base/machine.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define OS_RELEASE     "/etc/os-release"
#define OS_RELEASE_MAX 1024u /* the line is among the first */

static bool is_quoted(sonde_str s)
{
    return s.len >= 2 && (s.ptr[0] == '"' || s.ptr[0] == '\'') && s.ptr[s.len - 1] == s.ptr[0];
}

sonde_str sonde_os_release_version(sonde_str text)
{
    while (text.len > 0) {
        sonde_str value = sonde_str_cut(&text, '\n');

        if (!sonde_str_starts(value, SONDE_STR("VERSION_ID=")))
            continue;
        (void)sonde_str_cut(&value, '=');
        return is_quoted(value) ? sonde_str_sub(value, 1, value.len - 2) : value;
    }
    return (sonde_str){ "", 0 };
}

static void read_os_version(char out[SONDE_OS_VERSION_ROOM])
{
    char text[OS_RELEASE_MAX];
    int fd = open(OS_RELEASE, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));
    sonde_str found = sonde_os_release_version((sonde_str){ text, n > 0 ? (size_t)n : 0 });
    size_t len = sonde_utf8_cut(found, SONDE_OS_VERSION_ROOM - 1);

    if (fd >= 0)
        (void)close(fd);
    memcpy(out, found.ptr, len);
    out[len] = '\0';
}

void sonde_machine_read(sonde_machine *out)
{
    if (uname(&out->kernel) != 0)
        memset(&out->kernel, 0, sizeof(out->kernel));
    read_os_version(out->os_version);
}
