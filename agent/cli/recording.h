/* agent/cli/recording.h - the file of `sonde record` and `sonde replay`: requests with their time.
 *
 *   head    "SONDEREC", version 1, when it began (unix ns), CRC-32C of the head
 *   entry   length and CRC-32C of what follows; time since the beginning (ns); lengths of method, path,
 *           headers and body; the four
 *
 * All numbers little-endian.  A file that ends within an entry is good up to there.
 *
 * Threads   none.
 * Bounds    RECORDING_ENTRY_MAX bytes an entry; lengths are checked against what is there.
 */
#ifndef SONDE_AGENT_CLI_RECORDING_H
#define SONDE_AGENT_CLI_RECORDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "sonde/status.h"

#define RECORDING_ENTRY_MAX (64u * 1024 * 1024)
#define RECORDING_HEAD_LEN  24

typedef struct recording_entry {
    uint64_t at_ns; /* since the beginning */
    sonde_str method, path;
    sonde_str headers; /* "Name: value" lines, each with its line feed */
    sonde_str body;
} recording_entry;

void recording_write_head(sonde_buf *out, int64_t began_unix_ns);
void recording_write_entry(sonde_buf *out, const recording_entry *e);

typedef struct recording_reader {
    sonde_str rest;
    int64_t began_unix_ns;
} recording_reader;

/* SONDE_ERR_SYNTAX: not a recording, or of another version. */
SONDE_MUST_USE sonde_status recording_open(recording_reader *r, sonde_str file,
                                           sonde_error *out_error);

/* Views into the file.  SONDE_ERR_EOF: no more; SONDE_ERR_SYNTAX: damaged, and nothing behind it can be
 * trusted. */
SONDE_MUST_USE sonde_status recording_next(recording_reader *r, recording_entry *out_entry);

/* Takes the first line off `headers`; false: none is left. */
bool recording_header(sonde_str *headers, sonde_str *out_name, sonde_str *out_value);

#endif /* SONDE_AGENT_CLI_RECORDING_H */
