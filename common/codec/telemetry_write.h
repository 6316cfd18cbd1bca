/* codec/telemetry_write.h - what every request of telemetry begins with: who sends it, and from where.
 *
 * Threads   none.
 * Source    docs/spec/telemetry.md, "Request" */
#ifndef SONDE_CODEC_TELEMETRY_WRITE_H
#define SONDE_CODEC_TELEMETRY_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/machine.h"
#include "base/str.h"

#include "codec/json_write.h"

typedef struct sonde_telemetry_head {
    const char *type; /* "app-started" */
    int64_t unix_s;
    uint64_t seq;
    bool debug;
    sonde_str runtime_id;
    sonde_str service;
    sonde_str env;
    sonde_str version;
    sonde_str tracer_version;
    sonde_str language;
    sonde_str process_tags; /* empty: left out */
    sonde_str hostname;
    const sonde_machine *machine;
} sonde_telemetry_head;

/* Begins the request's object.  The caller writes the payload, one value, and ends the object. */
void sonde_telemetry_begin(sonde_json_writer *w, const sonde_telemetry_head *h);

#endif /* SONDE_CODEC_TELEMETRY_WRITE_H */
