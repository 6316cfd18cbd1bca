/* agent/origin/origin.h - which container a request comes from, and what is known about containers.
 *
 * What the head states counts first; then the inode it names, the peer of a Unix socket and its pod are
 * looked up in the kernel's control groups, and remembered for ORIGIN_REMEMBER_NS.
 *
 * Threads   all; one mutex, which a walk of the control groups is not held under.
 * Bounds    ORIGIN_REMEMBERED answers; one walk in ORIGIN_WALK_PAUSE_NS, unknown until then.
 * Source    docs/spec/receiver.md, "Where a request comes from".
 */
#ifndef SONDE_AGENT_ORIGIN_ORIGIN_H
#define SONDE_AGENT_ORIGIN_ORIGIN_H

#include "agent/config/config.h"
#include "agent/origin/cgroups.h"
#include "base/clock.h"
#include "codec/json_write.h"
#include "net/server/http_server.h"
#include "sonde/status.h"

#define ORIGIN_REMEMBERED    64u
#define ORIGIN_REMEMBER_NS   (UINT64_C(10) * 1000000000)
#define ORIGIN_WALK_PAUSE_NS UINT64_C(1000000000)
#define ORIGIN_TAGS_MAX      4096 /* bytes */

typedef struct origin origin;

typedef struct origin_options {
    const config_list *container_tags; /* of every container; borrowed for the call */
    const char *proc;                  /* static; NULL: "/proc" */
    const char *cgroups;               /* static; NULL: "/sys/fs/cgroup" */
    const sonde_clock *clock;          /* NULL: the system's */
} origin_options;

SONDE_MUST_USE sonde_status origin_open(const origin_options *options, origin **out_origin);
void origin_close(origin *o); /* NULL does nothing */

/* The id of the request's container: a view of a header or of `room`; empty: unknown.  Without an origin
 * (NULL) only what the head states counts. */
sonde_str origin_container_id(origin *o, const http_request *request, container_id room);

/* Room for the tags of one container. */
typedef char origin_tags_text[ORIGIN_TAGS_MAX + sizeof(",container_id:") + SONDE_CGROUP_ID_MAX];

/* "k:v,k:v" of a container, a view that may be of `room`: the configured ones, and its id where it has the form
 * of one.  Empty: nothing is known, or there is no container. */
sonde_str origin_tags(const origin *o, sonde_str container, origin_tags_text room);

/* Hex SHA-256 of the configured ones that say what a container runs (Datadog-Container-Tags-Hash); NULL: none
 * are configured, or there is no container. */
const char *origin_tags_hash(const origin *o, sonde_str container);

void origin_write_json(void *origin, sonde_json_writer *w); /* an info_source row: one object */

#endif /* SONDE_AGENT_ORIGIN_ORIGIN_H */
