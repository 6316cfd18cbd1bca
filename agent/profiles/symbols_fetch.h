/* agent/profiles/symbols_fetch.h - debug files from debuginfod servers: GET /buildid/HEX/debuginfo.
 *
 * Off unless somebody asked for it: it tells others which programs run here.  Whoever lacks a file says so and goes on;
 * what comes, and is of the object that was meant, is put on disk (symbols_disk.h) and noticed there.
 *
 * Threads   any; transfers run on the client's thread ("debuginfod").  One mutex (rank SONDE_RANK_QUEUE).
 * Bounds    SYMBOLS_FETCH_URLS servers, asked one after the other; SYMBOLS_FETCH_AT_ONCE transfers, a time limit each;
 *           SYMBOLS_FETCH_ASKED objects known, beyond it nothing new is asked until old answers expire; files as the disk
 *           allows.  What nobody has is not asked again for SYMBOLS_RETRY_NS.
 * Law       wanted = fetched + sum(lost by reason) + waiting
 * Source    docs/spec/profile-batch.md, "Symbols"
 */
#ifndef SONDE_AGENT_PROFILES_SYMBOLS_FETCH_H
#define SONDE_AGENT_PROFILES_SYMBOLS_FETCH_H

#include <stdint.h>

#include "base/clock.h"
#include "base/str.h"
#include "codec/json_write.h"
#include "net/egress.h"
#include "sonde/status.h"

#include "symbols_disk.h"

#define SYMBOLS_FETCH_URLS       8u
#define SYMBOLS_FETCH_URL_MAX    1024 /* bytes of one, with the path */
#define SYMBOLS_FETCH_AT_ONCE    2u
#define SYMBOLS_FETCH_ASKED      4096u
#define SYMBOLS_FETCH_TIMEOUT_MS 90000u /* of a transfer, from its beginning to its end */

/* clang-format off */
#define SYMBOLS_FETCH_LOSS_MAP(X)                                          \
    X(MISSING, "missing")    /* 404 of every server */                     \
    X(TIMEOUT, "timeout")                                                  \
    X(BIG,     "too_big")    /* more than the disk allows one file */      \
    X(WRONG,   "wrong_file") /* no ELF file of that build-id */            \
    X(FAILED,  "failed")     /* no connection, another status, no disk */  \
    X(FULL,    "queue_full") /* SYMBOLS_FETCH_ASKED */                     \
    X(CLOSED,  "closed")
/* clang-format on */

typedef enum symbols_fetch_loss {
#define X(name, text) SYMBOLS_FETCH_LOST_##name,
    SYMBOLS_FETCH_LOSS_MAP(X)
#undef X
        SYMBOLS_FETCH_LOSSES
} symbols_fetch_loss;

typedef struct symbols_fetch_options {
    /* apart by spaces, as DEBUGINFOD_URLS has them; others than HTTP are passed over */
    sonde_str urls;
    symbols_disk *disk;       /* borrowed */
    sonde_egress egress;      /* copied */
    const char *user_agent;   /* copied */
    unsigned timeout_ms;      /* 0: the one above */
    const sonde_clock *clock; /* NULL: the system's */
} symbols_fetch_options;

/* SONDE_ERR_CONFIG: there is no server among the URLs. */
SONDE_MUST_USE sonde_status symbols_fetch_open(const symbols_fetch_options *options,
                                               symbols_fetch **out_fetch, sonde_error *out_error);
void symbols_fetch_close(symbols_fetch *f); /* transfers are given up; NULL does nothing */

/* Asks for the debug file of an object, unless it was asked for lately. */
void symbols_fetch_want(symbols_fetch *f, const elf_identity *id);

uint64_t symbols_fetch_arrived(symbols_fetch *f); /* files so far */
uint32_t symbols_fetch_waiting(symbols_fetch *f); /* asked for, without an answer */
void symbols_fetch_write_json(symbols_fetch *f, sonde_json_writer *w); /* one object */

#endif /* SONDE_AGENT_PROFILES_SYMBOLS_FETCH_H */
