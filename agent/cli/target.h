/* agent/cli/target.h - a process that runs already, seen from outside: whether the profiler can be put into it, and its memory.
 *
 * Threads   the main thread.
 * Bounds    TARGET_MAPPINGS_MAX mappings; TARGET_OBJECT_MAX bytes of an object.
 */
#ifndef SONDE_AGENT_CLI_TARGET_H
#define SONDE_AGENT_CLI_TARGET_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/elf_image.h"
#include "sonde/status.h"

#define TARGET_MAPPINGS_MAX 65536u
#define TARGET_OBJECT_MAX   (UINT64_C(128) << 20)
#define TARGET_WHY          384

typedef struct target_mapping {
    uint64_t lo;
    uint64_t hi;
    uint64_t offset;
    bool is_executable;
    char *path; /* owned; "" for none */
} target_mapping;

typedef struct target {
    pid_t pid;
    char name[32];
    uid_t uid;
    gid_t gid;
    int memory; /* /proc/PID/mem; -1: not open */
    target_mapping *mappings;
    size_t mappings_len;
    bool is_same_root; /* files have the names they have here */
} target;

typedef struct target_options {
    bool trusts_seccomp; /* somebody says its filter lets us */
} target_options;

/* False: `why` says what speaks against it and what would help.  In any case followed by target_close(). */
bool target_open(target *t, pid_t pid, const target_options *o, char why[TARGET_WHY]);
void target_close(target *t);

bool target_read(const target *t, uint64_t address, void *out, size_t len);
bool target_write(const target *t, uint64_t address, const void *from, size_t len);

/* A line of /proc/PID/status, or of a thread's, without its name and blanks; false: there is none.  Threads: any. */
bool target_status(pid_t pid, const char *name, char *out, size_t cap);
uint64_t target_status_number(pid_t pid, const char *name); /* 0: there is none */

/* Also when nobody has waited for it yet. */
bool target_has_ended(const target *t);

/* The mapping an address lies in; NULL: none. */
const target_mapping *target_find(const target *t, uint64_t address);

/* A copy of a mapped object, without its code, and what it says. */
typedef struct target_object {
    uint8_t *bytes; /* owned */
    uint64_t base;
    size_t len;
    sonde_elf_image image;
} target_object;

/* That of a file name's beginning ("libc.so"), or the one an address lies in.  SONDE_ERR_NOT_FOUND; then `out` is empty. */
SONDE_MUST_USE sonde_status target_object_named(const target *t, const char *name,
                                                target_object *out);
SONDE_MUST_USE sonde_status target_object_at(const target *t, uint64_t address, target_object *out);
void target_object_done(target_object *o);

/* The file a mapping is of begins with that name. */
bool target_is_named(const target_mapping *m, const char *name);

#endif /* SONDE_AGENT_CLI_TARGET_H */
