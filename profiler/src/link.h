/* link.h - the connection to the agent: what it takes, and one request at a time.
 *
 * Threads   none: the drainer.  While it waits it calls back, so that rings do not fill.
 * Source    docs/spec/profile-batch.md, docs/spec/agent-http.md */
#ifndef SONDE_PROFILER_LINK_H
#define SONDE_PROFILER_LINK_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/str.h"
#include "net/http_plain.h"
#include "sonde/status.h"

#include "config.h"

#define SONDE_PROF__BATCH_PATH   "/sonde/profiling/v1/batch"
#define SONDE_PROF__PROFILE_PATH "/profiling/v1/input"

typedef enum sonde_prof__takes {
    SONDE_PROF__TAKES_UNKNOWN, /* no answer */
    SONDE_PROF__TAKES_BATCHES,
    SONDE_PROF__TAKES_PROFILES,
    SONDE_PROF__TAKES_NOTHING, /* an agent that knows of no profiles */
} sonde_prof__takes;

typedef struct sonde_prof__link sonde_prof__link;

/* `latest` may come nearer while a request waits; `meanwhile` is called every 25 ms then. */
SONDE_MUST_USE sonde_status sonde_prof__link_open(const sonde_prof__config *c,
                                                  const _Atomic uint64_t *latest_mono_ns,
                                                  void (*meanwhile)(void *user), void *user,
                                                  sonde_prof__link **out);
void sonde_prof__link_close(sonde_prof__link *l); /* NULL does nothing */

/* Asks GET /info. */
sonde_prof__takes sonde_prof__link_ask(sonde_prof__link *l, uint64_t deadline_mono_ns);

#define SONDE_PROF__LINK_HEADERS_MAX 8

typedef struct sonde_prof__link_answer {
    int status; /* of HTTP; 0: there was none */
    uint64_t retry_after_ns;
    sonde_str body; /* valid until the next request */
} sonde_prof__link_answer;

/* Posts, with User-Agent and where the process runs besides `headers` (at most LINK_HEADERS_MAX). */
sonde_prof__link_answer sonde_prof__link_post(sonde_prof__link *l, const char *path,
                                              const sonde_http_header *headers, size_t headers_len,
                                              sonde_str body, uint64_t deadline_mono_ns);

/* What an agent's answer to /info says it takes. */
sonde_prof__takes sonde_prof__info_says(sonde_str json);

#endif /* SONDE_PROFILER_LINK_H */
