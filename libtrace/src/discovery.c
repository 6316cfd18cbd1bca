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
#include "codec/msgpack_write.h"

#include "container.h"

#ifndef MFD_NOEXEC_SEAL
#    define MFD_NOEXEC_SEAL 0x0008U
#endif

#define SCHEMA_VERSION 2
#define NAME           "datadog-tracer-info-"
#define NAME_RANDOM    8

static int present = -1;

typedef struct entry {
    sonde_str key;
    sonde_str value;
} entry;

/* Entries without a value are left out. */
static void put_map(sonde_buf *b, const entry *entries, uint32_t len)
{
    uint32_t there = 1;
    uint32_t i;

    for (i = 0; i < len; i++)
        there += entries[i].value.len > 0;
    sonde_mp_write_map(b, there);
    sonde_mp_write_str(b, SONDE_STR("schema_version"));
    sonde_mp_write_u64(b, SCHEMA_VERSION);
    for (i = 0; i < len; i++) {
        if (entries[i].value.len == 0)
            continue;
        sonde_mp_write_str(b, entries[i].key);
        sonde_mp_write_str(b, entries[i].value);
    }
}

static void encode(const sonde__config *c, const char *runtime_id, sonde_buf *out)
{
    char id[SONDE__CONTAINER_ID_MAX];
    char entity[SONDE__CONTAINER_ID_MAX];

    sonde__container_read(id, entity);
    put_map(out,
            (const entry[]){
                { SONDE_STR("runtime_id"), sonde_str_from(runtime_id) },
                { SONDE_STR("tracer_version"), c->tracer_version },
                { SONDE_STR("tracer_language"), c->language },
                { SONDE_STR("hostname"), c->hostname },
                { SONDE_STR("service_name"), c->service },
                { SONDE_STR("service_env"), c->env },
                { SONDE_STR("service_version"), c->version },
                { SONDE_STR("process_tags"), c->process_tags },
                { SONDE_STR("container_id"), sonde_str_from(id) },
            },
            9);
}

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
    encode(c, runtime_id, &b);
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
