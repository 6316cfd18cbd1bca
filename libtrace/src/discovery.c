/* discovery.c - a msgpack map in a memory file. */
#include "discovery.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/rng.h"

#include "process_map.h"

#ifndef MFD_NOEXEC_SEAL
#    define MFD_NOEXEC_SEAL 0x0008U
#endif

#define NAME        "datadog-tracer-info-"
#define NAME_RANDOM 8

static int present = -1;

/* Kernels before 6.3 refuse the flag that says that nobody will execute it. */
static int make_file(void)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    char name[sizeof(NAME) + NAME_RANDOM] = NAME;
    uint64_t random = sonde_random_u64();
    size_t i;
    int fd;

    for (i = 0; i < NAME_RANDOM; i++) {
        name[sizeof(NAME) - 1 + i] = letters[random % (sizeof(letters) - 1)];
        random /= sizeof(letters) - 1;
    }
    fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd;
}

/* All of it and sealed, or not at all: nobody sees half a map for long. */
static int publish(const sonde_buf *b)
{
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    int fd = make_file();
    int saved_errno;

    if (fd < 0)
        return -1;
    if (write(fd, b->data, b->len) == (ssize_t)b->len && fcntl(fd, F_ADD_SEALS, seals) == 0)
        return fd;
    saved_errno = errno;
    (void)close(fd);
    errno = saved_errno;
    return -1;
}

void sonde__discovery_open(const sonde__config *c, const char *runtime_id)
{
    sonde_buf b;

    sonde__discovery_close();
    sonde_buf_init(&b, SONDE__DISCOVERY_MAX_BYTES);
    sonde__process_map(&b, c, runtime_id, SONDE__DISCOVERY_MAX_BYTES, SONDE__NO_TAGS);
    errno = ENOMEM;
    if (b.status == SONDE_OK)
        present = publish(&b);
    if (present < 0)
        SONDE_LOG_ALWAYS(SONDE_LOG_DEBUG, "the agent cannot discover this process: errno=%d",
                         errno);
    sonde_buf_done(&b);
}

void sonde__discovery_close(void)
{
    if (present >= 0)
        (void)close(present);
    present = -1;
}
