/* agent/info/info.h - what the agent says about itself: /info for tracers, a status page for people.
 *
 * The body of /info is made once and never changes, so that its SHA-256 (the Datadog-Agent-State
 * header) is stable.  It lists only what is truly served.  /sonde/v1/status joins one JSON object per
 * info_source, read when asked.
 *
 * Threads   info_open(), info_add_source() and info_close() by agent/main; handlers on the server's
 *           threads, which call write_json() of the sources, several at once.
 * Source    docs/spec/receiver.md.
 */
#ifndef SONDE_AGENT_INFO_INFO_H
#define SONDE_AGENT_INFO_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "agent/origin/origin.h"
#include "base/clock.h"
#include "codec/json_write.h"
#include "net/server/http_server.h"
#include "sonde/status.h"

#define INFO_SOURCES_MAX 32
#define INFO_STATE_LEN   64

typedef struct info info;

typedef struct info_source {
    const char *name;                                     /* key in the status document; static */
    void (*write_json)(void *user, sonde_json_writer *w); /* exactly one value */
    void *user;                                           /* must stay valid until info_close() */
} info_source;

typedef struct info_analyzed { /* one operation whose spans become events */
    sonde_str service, operation;
    double rate;
} info_analyzed;

typedef struct info_options {
    agent_config *config;         /* a reference is taken */
    const char *agent_version;    /* static */
    const char *git_commit;       /* static; "" unknown */
    const char *const *endpoints; /* listed paths, in any order; borrowed for the call */
    size_t endpoints_len;
    /* request headers that pass /evp_proxy; borrowed for the call */
    const char *const *evp_headers;
    size_t evp_headers_len;
    const char *const *peer_tags; /* sorted keys of the aggregation; borrowed; NULL: none */
    size_t peer_tags_len;
    const info_analyzed *analyzed; /* borrowed for the call */
    size_t analyzed_len;
    bool stats_by_span_kind;  /* spans of kind server, client, ... count though not top-level */
    sonde_str crash_socket;   /* empty: none; borrowed for the call */
    bool client_drop_p0s;     /* tracers may leave out p0 chunks: stats of theirs are served */
    origin *origin;           /* of the askers' containers; borrowed; NULL: none */
    const sonde_clock *clock; /* NULL: the system's */
} info_options;

SONDE_MUST_USE sonde_status info_open(const info_options *options, info **out_info);
void info_close(info *i); /* NULL does nothing; the server must be closed */

/* Adds a row to the status page, also while serving; SONDE_ERR_FULL beyond INFO_SOURCES_MAX. */
SONDE_MUST_USE sonde_status info_add_source(info *i, info_source source);

sonde_str info_body(const info *i);    /* of GET /info */
const char *info_state(const info *i); /* 64 lower-case hex digits */

/* Rows for receiver_options.more_routes: /info and /sonde/v1/status. */
#define INFO_ROUTES 2
void info_routes(info *i, http_route out[INFO_ROUTES]);

/* The status document, for `sonde status` and tests. */
void info_write_status(info *i, sonde_buf *out);

#endif /* SONDE_AGENT_INFO_INFO_H */
