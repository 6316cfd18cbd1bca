/* internal.h - what the files forwarder*.c share. */
#ifndef SONDE_AGENT_FORWARDER_INTERNAL_H
#define SONDE_AGENT_FORWARDER_INTERNAL_H

#include <pthread.h>

#include "base/mutex.h"
#include "net/curl/http_curl.h"

#include "forwarder.h"
#include "ledger.h"

typedef struct book { /* an endpoint's row of the ledger */
    ledger_row *row;
    ledger_count base[UPLOAD_KINDS][LEDGER_COLUMNS]; /* of former lives */
} book;

struct forwarder {
    http_curl *curl;
    pthread_t thread;
    bool started;
    uint64_t timeout_ns;
    int storage_fd;       /* the lock on the folder; -1: memory only */
    ledger *ledger;       /* NULL: none */
    ledger_row *pipeline; /* of the stages before */
    sonde_mutex mu;
    pthread_cond_t changed;
    endpoint *endpoints; /* all below guarded by mu */
    size_t endpoints_len;
    book books[FORWARDER_ENDPOINTS_MAX];
    bool closing;
    uint64_t deadline_mono_ns;
};

/* Before the thread starts.  Never fatal: what cannot be had on disk is in memory, with a warning. */
void forwarder_open_storage(forwarder *f, const forwarder_options *o);

#endif /* SONDE_AGENT_FORWARDER_INTERNAL_H */
