/* identity.c - pid, runtime-id, tags, libc. */
#include "identity.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <unistd.h>
#if defined(__GLIBC__)
#    include <gnu/libc-version.h>
#endif

#include "base/hex.h"
#include "base/parse.h"
#include "base/process_tags.h"
#include "base/rng.h"

#include "events.h"
#include "hooks.h"
#include "process_ctx.h"

#define TEXTS_MAX_BYTES 65536u

#if defined(__x86_64__)
const char sonde_prof__arch[] = "amd64";
#else
const char sonde_prof__arch[] = "arm64";
#endif

static void make_uuid(char out[37])
{
    uint64_t hi = sonde_random_u64(), lo = sonde_random_u64();
    char hex[32];

    hi = (hi & ~UINT64_C(0xf000)) | 0x4000;
    lo = (lo & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62;
    sonde_hex_u64(hi, hex);
    sonde_hex_u64(lo, hex + 16);
    (void)snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
                   hex + 20);
}

/* "NSpid:\t100\t7": as the host sees this process, then each namespace inside. */
static void read_ns_pids(sonde_prof__identity *id)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    sonde_str rest = { text, n > 0 ? (size_t)n : 0 };

    id->ns_pids_len = 0;
    if (fd >= 0)
        (void)close(fd);
    while (rest.len > 0) {
        sonde_str line = sonde_str_cut(&rest, '\n');

        if (!sonde_str_starts(line, SONDE_STR("NSpid:")))
            continue;
        (void)sonde_str_cut(&line, '\t');
        while (line.len > 0 && id->ns_pids_len < SONDE_PROF__NS_PIDS_MAX) {
            uint64_t pid;

            if (sonde_parse_u64(sonde_str_trim(sonde_str_cut(&line, '\t')), &pid) == SONDE_OK)
                id->ns_pids[id->ns_pids_len++] = (uint32_t)pid;
        }
        return;
    }
}

/* These are said elsewhere, and cannot be overridden. */
static bool is_reserved(sonde_str key)
{
    static const char *const keys[] = { "service",    "env",         "version",
                                        "runtime-id", "profile_seq", "language",
                                        "runtime",    "process_id",  "profiler_version" };
    size_t i;

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (sonde_str_eq(key, sonde_str_from(keys[i])))
            return true;
    return false;
}

/* "key:value", commas in the value made '_': lists of tags are separated by them. */
static void add_tag(sonde_prof__identity *id, sonde_str key, sonde_str value)
{
    char *text;
    size_t i;

    if (value.len == 0 || is_reserved(key) || id->tags_len == SONDE_PROF__TAGS_MAX)
        return;
    text = (char *)sonde_arena_alloc(&id->texts, key.len + 1 + value.len);
    if (!text)
        return;
    memcpy(text, key.ptr, key.len);
    text[key.len] = ':';
    for (i = 0; i < value.len; i++)
        text[key.len + 1 + i] = value.ptr[i] == ',' ? '_' : value.ptr[i];
    id->tags[id->tags_len++] = (sonde_str){ text, key.len + 1 + value.len };
}

static void add_tags(sonde_prof__identity *id, sonde_str text)
{
    bool by_comma = text.len > 0 && memchr(text.ptr, ',', text.len) != NULL;
    sonde_str key, value;

    while (sonde_prof__tags_next(&text, by_comma, &key, &value))
        add_tag(id, key, value);
}

static void describe_process(sonde_prof__identity *id)
{
    const sonde_prof__config *c = id->config;
    char workdir[4096], tags[SONDE_PROCESS_TAGS_MAX_BYTES];
    sonde_str ours = { NULL, 0 };
    size_t len;

    if (!getcwd(workdir, sizeof(workdir)))
        workdir[0] = '\0';
    if (c->service_is_ours)
        ours = c->service;
    len = sonde_process_tags(c->exe, sonde_str_from(workdir), ours, tags);
    id->process_tags = sonde_arena_copy(&id->texts, (sonde_str){ tags, len });
}

void sonde_prof__identity_renew(sonde_prof__identity *id)
{
    sonde_str told = id->config->runtime_id;

    id->pid = (uint32_t)getpid();
    id->has_met = false;
    read_ns_pids(id);
    if (told.len > 0 && told.len < sizeof(id->runtime_id))
        (void)snprintf(id->runtime_id, sizeof(id->runtime_id), "%.*s", SONDE_STR_ARG(told));
    else
        make_uuid(id->runtime_id);
}

bool sonde_prof__identity_meet(sonde_prof__identity *id)
{
    sonde_prof__process_ctx ctx;

    if (id->has_met || !sonde_prof__process_ctx_read(&ctx))
        return false;
    sonde_prof__hooks_set_local_root_key(ctx.local_root_key);
    id->has_met = ctx.runtime_id[0] != '\0';
    if (!id->has_met || id->config->runtime_id.len > 0 ||
        strcmp(id->runtime_id, ctx.runtime_id) == 0)
        return false;
    memcpy(id->runtime_id, ctx.runtime_id, sizeof(id->runtime_id));
    return true;
}

void sonde_prof__identity_init(sonde_prof__identity *id, const sonde_prof__config *c)
{
    memset(id, 0, sizeof(*id));
    id->config = c;
    sonde_arena_init(&id->texts, TEXTS_MAX_BYTES);
#if defined(__GLIBC__)
    (void)snprintf(id->libc, sizeof(id->libc), "glibc-%s", gnu_get_libc_version());
#else
    (void)snprintf(id->libc, sizeof(id->libc), "musl");
#endif
    add_tags(id, c->tags);
    add_tags(id, c->profiling_tags);
    if (c->process_tags)
        describe_process(id);
    sonde_prof__identity_renew(id);
}

void sonde_prof__identity_done(sonde_prof__identity *id)
{
    sonde_arena_done(&id->texts);
    memset(id, 0, sizeof(*id));
}

void sonde_prof__identity_hello(const sonde_prof__identity *id, sonde_prof__hello *out)
{
    const sonde_prof__config *c = id->config;

    memset(out, 0, sizeof(*out));
    out->pid = id->pid;
    if (id->ns_pids_len > 1) {
        out->ns_pids = id->ns_pids;
        out->ns_pids_len = id->ns_pids_len;
    }
    out->service = c->service;
    out->env = c->env;
    out->version = c->version;
    out->runtime_id = sonde_str_from(id->runtime_id);
    out->tags = id->tags;
    out->tags_len = id->tags_len;
    out->profiler_version = SONDE_STR(SONDE_VERSION);
    out->arch = sonde_str_from(sonde_prof__arch);
    out->exe = c->exe;
    out->hostname = c->hostname;
    out->libc = sonde_str_from(id->libc);
    out->process_tags = id->process_tags;
    out->flags =
        (c->timeline ? SONDE_PROF__TIMELINE : 0u) |
        (sonde_prof__events_mode() == SONDE_PROF__PERF_KERNEL ? SONDE_PROF__KERNEL_FRAMES : 0u);
}
