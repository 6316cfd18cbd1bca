/* agent/cli/profile_output.h - what `sonde profile` makes of a profile: a file, or tables for people.
 *
 * Threads   none.
 */
#ifndef SONDE_AGENT_CLI_PROFILE_OUTPUT_H
#define SONDE_AGENT_CLI_PROFILE_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/profiles/flame.h"
#include "agent/profiles/profile.h"
#include "base/buf.h"
#include "sonde/status.h"

#define OUTPUT_MAX_BYTES (256u * 1024 * 1024)

typedef enum output_format {
    OUTPUT_TABLE,
    OUTPUT_HTML,
    OUTPUT_PPROF,
    OUTPUT_FOLDED,
    OUTPUT_SPEEDSCOPE
} output_format;

/* By its name, else by how the file is called ("folded" and "speedscope" alone are names too).  Without both: tables.
 * False: nobody knows. */
bool output_format_of(const char *file, const char *name, output_format *out);
/* NULL, which is standard output, where it is the name of a format. */
const char *output_file_of(const char *file);

#define OUTPUT_FORMATS "html, pprof, folded, speedscope"
#define OUTPUT_HOW                                                                                 \
    "name the file .html, .pb.gz, .folded or .json, or say --format with one of " OUTPUT_FORMATS

/* Facts beside the profile. */
typedef struct output_facts {
    const char *title;
    const char *type; /* one of the columns; NULL: all that tell something */
    int64_t start_unix_ns;
    uint64_t duration_ns;
    uint32_t rows; /* of a table */
} output_facts;

/* Appends it.  SONDE_ERR_NOT_FOUND: no such type. */
SONDE_MUST_USE sonde_status output_write(output_format format, profile *p,
                                         const output_facts *facts, sonde_buf *out);

/* "1.23 s", "4.50 MiB", "678". */
void output_value(sonde_buf *out, sonde_str unit, int64_t value);

/* "name  (object)", without control characters, which must not reach a terminal. */
void output_function(sonde_buf *out, sonde_str name, sonde_str object);

/* Before hours of work: whether the file can be written, as far as one sees; errno says why not. */
bool output_is_possible(const char *file);

/* To a file; NULL or "-": standard output. */
SONDE_MUST_USE sonde_status output_save(const char *file, sonde_str content);

#endif /* SONDE_AGENT_CLI_PROFILE_OUTPUT_H */
