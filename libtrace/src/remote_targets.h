/* remote_targets.h - what the agent answers to a poll for remote configuration, read.
 *
 * The answer lists paths ("client_configs"), describes each in "targets" (JSON in base64: length, hash,
 * version) and holds the files this client does not have yet.  What is not listed is passed over.
 *
 * Threads   none.
 * Bounds    SONDE__REMOTE_CONFIGS_MAX listed paths, SONDE__REMOTE_PATH_MAX_BYTES each,
 *           SONDE__REMOTE_FILES_MAX_BYTES of decoded texts, SONDE__REMOTE_BACKEND_STATE_MAX_BYTES of the state
 *           that is sent back; an answer beyond is rejected.
 * Source    docs/spec/remote-config.md */
#ifndef SONDE_LIBTRACE_REMOTE_TARGETS_H
#define SONDE_LIBTRACE_REMOTE_TARGETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "sonde/status.h"

#define SONDE__REMOTE_CONFIGS_MAX             64
#define SONDE__REMOTE_PATH_MAX_BYTES          512
#define SONDE__REMOTE_FILES_MAX_BYTES         (2u << 20)
#define SONDE__REMOTE_BACKEND_STATE_MAX_BYTES 65536
#define SONDE__REMOTE_ERROR_ROOM              256

typedef enum sonde__product {
    SONDE__APM_TRACING,
    SONDE__AGENT_CONFIG,
    SONDE__AGENT_TASK,
    SONDE__PRODUCTS
} sonde__product;

const char *sonde__product_name(sonde__product product);

/* The parts of "datadog/<org>/<product>/<id>/<name>" or "employee/<product>/<id>/<name>". */
typedef struct sonde__remote_path {
    sonde__product product;
    sonde_str id;
    sonde_str name;
} sonde__remote_path;

/* False: not of that form, or a product we did not ask for. */
bool sonde__remote_path_parse(sonde_str path, sonde__remote_path *out);

/* One listed path. */
typedef struct sonde__remote_target {
    sonde_str path;
    sonde__remote_path parts;
    bool described; /* "targets" has it: the next three are set */
    uint64_t version;
    uint64_t length;
    uint8_t sha256[32];
    sonde_str file; /* ptr NULL: not sent */
} sonde__remote_target;

typedef struct sonde__remote_answer {
    bool says_something; /* false: nothing changed, the rest is empty */
    uint64_t version;
    sonde_str backend_state;
    sonde__remote_target target[SONDE__REMOTE_CONFIGS_MAX];
    uint32_t len;
    sonde_arena texts; /* owned; what the views point into */
} sonde__remote_answer;

/* SONDE_ERR_SYNTAX, SONDE_ERR_TOO_BIG, SONDE_ERR_NOMEM: `error` says what is wrong, for the agent and the
 * log; `out` needs no sonde__remote_answer_done(). */
SONDE_MUST_USE sonde_status sonde__remote_answer_parse(sonde_str json, sonde__remote_answer *out,
                                                       char error[SONDE__REMOTE_ERROR_ROOM]);
void sonde__remote_answer_done(sonde__remote_answer *a);

#endif /* SONDE_LIBTRACE_REMOTE_TARGETS_H */
