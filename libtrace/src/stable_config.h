/* stable_config.h - what the files of the host say: settings for every process, or for those a rule
 * selects.
 *
 *   local   /etc/datadog-agent/application_monitoring.yaml
 *   fleet   /etc/datadog-agent/managed/datadog-agent/stable/application_monitoring.yaml
 *
 * A file that is too big or not understood counts as empty, as a missing one does.
 *
 * Threads   none.
 * Bounds    SONDE__STABLE_FILE_MAX_BYTES, the bounds of yaml.h, SONDE__STABLE_MAX settings.
 * Source    docs/spec/stable-config.md */
#ifndef SONDE_LIBTRACE_STABLE_CONFIG_H
#define SONDE_LIBTRACE_STABLE_CONFIG_H

#include "base/arena.h"
#include "base/str.h"
#include "sonde/status.h"

#define SONDE__STABLE_LOCAL "/etc/datadog-agent/application_monitoring.yaml"
#define SONDE__STABLE_FLEET                                                                        \
    "/etc/datadog-agent/managed/datadog-agent/stable/application_monitoring.yaml"

#define SONDE__STABLE_FILE_MAX_BYTES (1u << 20)
#define SONDE__STABLE_MAX            128

typedef struct sonde__stable_entry {
    sonde_str name;
    sonde_str value;
} sonde__stable_entry;

typedef struct sonde__stable {
    sonde_str config_id;
    sonde__stable_entry entries[SONDE__STABLE_MAX]; /* later ones win */
    uint32_t len;
    sonde_arena texts; /* owned */
} sonde__stable;

/* What rules and templates ask about. */
typedef struct sonde__process {
    const char *(*variable)(void *user, const char *name); /* like getenv */
    void *user;
    sonde_str language;
    sonde_str arguments; /* each ended by NUL, as in /proc/self/cmdline */
} sonde__process;

/* Both fill `out`, which is to be done with in any case; on failure it holds no settings.  A missing file
 * is none. */
SONDE_MUST_USE sonde_status sonde__stable_parse(sonde_str text, const sonde__process *process,
                                                sonde__stable *out);
SONDE_MUST_USE sonde_status sonde__stable_load(const char *path, const sonde__process *process,
                                               sonde__stable *out);
void sonde__stable_done(sonde__stable *s);

/* The value of that name; { NULL, 0 } when there is none. */
sonde_str sonde__stable_get(const sonde__stable *s, const char *name);

#endif /* SONDE_LIBTRACE_STABLE_CONFIG_H */
