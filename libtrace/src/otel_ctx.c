/* otel_ctx.c - the mapping and its message. */
#include "otel_ctx.h"

#include <string.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/mutex.h"
#include "codec/pb_write.h"

#include "counters.h"
#include "ctx_record.h"

#define NAME "OTEL_CTX"

#ifndef PR_SET_VMA
#    define PR_SET_VMA           0x53564d41
#    define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef MFD_NOEXEC_SEAL
#    define MFD_NOEXEC_SEAL 8u
#endif

/* What readers insist on may change with the OTEP's merge. */
#define THREAD_SCHEMA "tlsdesc_v1_dev"

static sonde_mutex mu = SONDE_MUTEX_INIT(SONDE_RANK_STORE);
static sonde__otel_ctx *published; /* guarded by mu, as all below; NULL: nothing is */
static size_t mapped_bytes;
static uint64_t last_ns;

/* -- the message ---------------------------------------------------------------------------------- */

/* KeyValue{1 key, 2 value: AnyValue{1 string_value}} as `field` of the message around it. */
static void put_pair(sonde_buf *b, uint32_t field, const char *key, sonde_str value)
{
    size_t pair, any;

    if (value.len == 0)
        return;
    pair = sonde_pb_begin(b, field);
    sonde_pb_str(b, 1, sonde_str_from(key));
    any = sonde_pb_begin(b, 2);
    sonde_pb_str(b, 1, value);
    sonde_pb_end(b, any);
    sonde_pb_end(b, pair);
}

/* The names of the attributes of thread records, by index: AnyValue{5 array_value: {1 values}}. */
static void put_key_map(sonde_buf *b, uint32_t field)
{
    size_t pair = sonde_pb_begin(b, field);
    size_t any, array, item;

    sonde_pb_str(b, 1, SONDE_STR("threadlocal.attribute_key_map"));
    any = sonde_pb_begin(b, 2);
    array = sonde_pb_begin(b, 5);
    item = sonde_pb_begin(b, 1);
    sonde_pb_str(b, 1, SONDE_STR("datadog.local_root_span_id"));
    sonde_pb_end(b, item);
    sonde_pb_end(b, array);
    sonde_pb_end(b, any);
    sonde_pb_end(b, pair);
}

static void encode(const sonde__config *c, const char *runtime_id, sonde_buf *out)
{
    char container[SONDE_CONTAINER_ID_MAX];
    char entity[SONDE_CONTAINER_ID_MAX];
    size_t resource = sonde_pb_begin(out, 1);

    sonde_container_read(container, entity);
    put_pair(out, 1, "service.name", c->service);
    put_pair(out, 1, "service.instance.id", sonde_str_from(runtime_id));
    put_pair(out, 1, "service.version", c->version);
    put_pair(out, 1, "deployment.environment.name", c->env);
    put_pair(out, 1, "telemetry.sdk.language", c->language);
    put_pair(out, 1, "telemetry.sdk.version", c->tracer_version);
    put_pair(out, 1, "telemetry.sdk.name", SONDE_STR("sonde"));
    put_pair(out, 1, "host.name", c->hostname);
    put_pair(out, 1, "container.id", sonde_str_from(container));
    sonde_pb_end(out, resource);
    put_pair(out, 2, "datadog.process_tags", c->process_tags);
    put_pair(out, 2, "threadlocal.schema_version", SONDE_STR(THREAD_SCHEMA));
    put_key_map(out, 2);
}

/* -- the mapping ---------------------------------------------------------------------------------- */

/* Its name in /proc/PID/maps; kernels that cannot, and memfds, do without. */
static void name_mapping(void)
{
    (void)prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, (unsigned long)(uintptr_t)published,
                (unsigned long)mapped_bytes, NAME);
}

static void retract_locked(void)
{
    if (published)
        (void)munmap(published, mapped_bytes);
    published = NULL;
    mapped_bytes = 0;
}

static void *map_memfd(size_t bytes)
{
    int fd = memfd_create(NAME, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    void *map = MAP_FAILED;

    if (fd < 0)
        fd = memfd_create(NAME, MFD_CLOEXEC); /* before Linux 6.3 */
    if (fd < 0)
        return MAP_FAILED;
    if (ftruncate(fd, (off_t)bytes) == 0)
        map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    return map;
}

static bool map_locked(size_t bytes)
{
    void *map;

    retract_locked();
    map = map_memfd(bytes);
    if (map == MAP_FAILED)
        map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return false;
    published = (sonde__otel_ctx *)map;
    mapped_bytes = bytes;
    if (madvise(map, bytes, MADV_DONTFORK) == 0)
        return true;
    retract_locked(); /* a child would say that it is its parent */
    return false;
}

static uint64_t next_time_locked(void)
{
    struct timespec t = { 0, 0 };
    uint64_t now;

    (void)clock_gettime(CLOCK_BOOTTIME, &t);
    now = (uint64_t)t.tv_sec * (uint64_t)SONDE_NS_PER_S + (uint64_t)t.tv_nsec;
    last_ns = now > last_ns ? now : last_ns + 1;
    return last_ns;
}

/* Everything else, then the time; an update first takes the time away. */
static void write_locked(const sonde_buf *payload)
{
    sonde__otel_ctx *p = published;
    uint8_t *to = (uint8_t *)(p + 1);

    atomic_store_explicit(&p->published_at_ns, 0, memory_order_relaxed);
    sonde__ctx_record_fence();
    memcpy(p->signature, NAME, sizeof(p->signature));
    p->version = 2;
    p->payload_bytes = (uint32_t)payload->len;
    p->payload = to;
    memcpy(to, payload->data, payload->len);
    atomic_store_explicit(&p->published_at_ns, next_time_locked(), memory_order_release);
    name_mapping();
}

static size_t whole_pages(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (bytes + page - 1) / page * page;
}

void sonde__otel_ctx_publish(const sonde__config *c, const char *runtime_id)
{
    bool ok = false;
    sonde_buf payload;
    size_t bytes;

    sonde_buf_init(&payload, SONDE__OTEL_CTX_MAX_BYTES);
    encode(c, runtime_id, &payload);
    sonde_mutex_lock(&mu);
    bytes = sizeof(sonde__otel_ctx) + payload.len;
    if (payload.status == SONDE_OK)
        ok = bytes <= mapped_bytes || map_locked(whole_pages(bytes));
    if (ok)
        write_locked(&payload);
    else
        retract_locked(); /* rather nothing than what is no longer true */
    sonde_mutex_unlock(&mu);
    sonde_buf_done(&payload);
    if (!ok)
        sonde__count(SONDE__OTEL_CTX_FAILED, 1);
}

void sonde__otel_ctx_retract(void)
{
    sonde_mutex_lock(&mu);
    retract_locked();
    sonde_mutex_unlock(&mu);
}

void sonde__otel_ctx_postfork_child(void)
{
    sonde_mutex_init(&mu, SONDE_RANK_STORE); /* a thread that is not here may have held it */
    published = NULL;
    mapped_bytes = 0;
}
