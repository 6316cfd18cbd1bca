/* codec/pprof_write.h - the rows of a pprof message, whoever numbers its texts and chooses its samples.
 *
 * profile.proto as the profiler writes it inside the host, the agent from sessions and the dashboards from merged
 * profiles.  Texts and other rows are numbers here: index of the string table, ids.  Zeros are left out.
 *
 * Threads   none: the buffer's owner.
 * Failure   the buffer's sticky status.
 * Source    docs/spec/profile-upload.md
 */
#ifndef SONDE_CODEC_PPROF_WRITE_H
#define SONDE_CODEC_PPROF_WRITE_H

#include <stdbool.h>

#include "codec/pb_write.h"

/* Fields of the messages that are read, too, or looked for; the others have a function below. */
enum {
    SONDE_PPROF_SAMPLE_TYPE = 1,
    SONDE_PPROF_SAMPLE = 2,
    SONDE_PPROF_MAPPING = 3,
    SONDE_PPROF_LOCATION = 4,
    SONDE_PPROF_FUNCTION = 5,
    SONDE_PPROF_TEXT = 6,
    SONDE_PPROF_TIME = 9,
    SONDE_PPROF_DURATION = 10,
    SONDE_PPROF_PERIOD_TYPE = 11,
    SONDE_PPROF_PERIOD = 12,
    SONDE_PPROF_DEFAULT_TYPE = 14,
    SONDE_PPROF_SAMPLE_LOCATIONS = 1, /* packed, the leaf first */
    SONDE_PPROF_SAMPLE_VALUES = 2,    /* packed, one a type */
    SONDE_PPROF_SAMPLE_LABEL = 3,
};

typedef struct sonde_pprof_mapping {
    uint64_t id, start, limit, file_offset;
    uint64_t file, build_id; /* texts */
    bool has_functions, has_files, has_lines, has_inlines;
} sonde_pprof_mapping;

typedef struct sonde_pprof_function {
    uint64_t id;
    uint64_t name, system_name, file; /* texts */
    uint64_t start_line;
} sonde_pprof_function;

/* `field`: SONDE_PPROF_SAMPLE_TYPE or _PERIOD_TYPE. */
void sonde_pprof_put_type(sonde_buf *b, uint32_t field, uint64_t type, uint64_t unit);

/* Inside a sample. */
void sonde_pprof_put_text_label(sonde_buf *b, uint64_t key, uint64_t text);
void sonde_pprof_put_number_label(sonde_buf *b, uint64_t key, uint64_t number, uint64_t unit);

void sonde_pprof_put_mapping(sonde_buf *b, const sonde_pprof_mapping *m);
void sonde_pprof_put_function(sonde_buf *b, const sonde_pprof_function *fn);

/* Lines follow, the innermost inlined function first; then sonde_pb_end(). */
size_t sonde_pprof_begin_location(sonde_buf *b, uint64_t id, uint64_t mapping, uint64_t address);
void sonde_pprof_put_line(sonde_buf *b, uint64_t function, uint64_t line);

#endif /* SONDE_CODEC_PPROF_WRITE_H */
