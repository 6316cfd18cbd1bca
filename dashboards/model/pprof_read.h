/* dashboards/model/pprof_read.h - a pprof message as tables, checked once, its samples read one by one.
 *
 * Everything a sample, a location or a line refers to is there when decoding succeeds: what came from
 * outside is not looked at twice.  Texts are views into the message, which must outlive the view.
 *
 * Threads   none: a view belongs to its owner.
 * Failure   SONDE_ERR_SYNTAX/EOF: not a profile; SONDE_ERR_TOO_BIG: a bound below; NOMEM.
 * Bounds    PPROF_ROWS_MAX rows of each table, PPROF_TYPES_MAX types, PPROF_STACK_MAX locations and
 *           PPROF_LABELS_MAX labels a sample.
 * Source    docs/spec/profile-batch.md, "pprof"
 */
#ifndef SONDE_DASHBOARDS_MODEL_PPROF_READ_H
#define SONDE_DASHBOARDS_MODEL_PPROF_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"

#define PPROF_ROWS_MAX   (1u << 20)
#define PPROF_TYPES_MAX  64
#define PPROF_STACK_MAX  4096u
#define PPROF_LABELS_MAX 64

typedef struct pprof_type {
    sonde_str type;
    sonde_str unit;
} pprof_type;

typedef struct pprof_mapping {
    uint64_t id;
    uint64_t start;
    uint64_t offset;
    sonde_str file;
} pprof_mapping;

typedef struct pprof_function {
    uint64_t id;
    sonde_str name;
    sonde_str file;
} pprof_function;

typedef struct pprof_location {
    uint64_t id;
    uint64_t address;
    uint32_t mapping; /* index + 1; 0: none */
    uint32_t first_line;
    uint32_t lines; /* innermost inlined function first */
} pprof_location;

typedef struct pprof_label {
    sonde_str key;
    sonde_str text; /* empty: a number */
    sonde_str unit; /* of the number; empty: none */
    int64_t number;
} pprof_label;

typedef struct pprof_sample {
    uint32_t locations[PPROF_STACK_MAX]; /* indices, leaf first */
    size_t depth;
    int64_t values[PPROF_TYPES_MAX]; /* one a type */
    pprof_label labels[PPROF_LABELS_MAX];
    size_t labels_len;
} pprof_sample;

typedef struct pprof_view {
    pprof_type types[PPROF_TYPES_MAX];
    size_t types_len;
    int64_t time_unix_ns; /* as it says itself; 0: it does not */
    int64_t duration_ns;
    sonde_str *strings;
    pprof_mapping *mappings; /* these three in order of id */
    pprof_function *functions;
    pprof_location *locations;
    uint32_t *lines;    /* indices of functions */
    sonde_str *samples; /* encoded */
    size_t strings_len, mappings_len, functions_len, locations_len, lines_len, samples_len;
    pprof_sample *scratch; /* of pprof_view_sample() */
} pprof_view;

/* On success the view is the caller's until pprof_view_done(); on failure it is empty. */
SONDE_MUST_USE sonde_status pprof_view_decode(pprof_view *v, sonde_str message);
void pprof_view_done(pprof_view *v);

/* Sample `i`, valid until the next call. */
const pprof_sample *pprof_view_sample(pprof_view *v, size_t i);

/* The label of that key; NULL: none. */
const pprof_label *pprof_find_label(const pprof_sample *s, sonde_str key);

#endif /* SONDE_DASHBOARDS_MODEL_PPROF_READ_H */
