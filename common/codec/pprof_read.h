/* codec/pprof_read.h - a pprof message as tables, checked once, its samples read one after the other.
 *
 *   sonde_pprof_view v;
 *   if (sonde_pprof_view_decode(&v, message) == SONDE_OK) {
 *       while ((s = sonde_pprof_next_sample(&v)))
 *           ...                                    // s->locations are indices of v.locations
 *       sonde_pprof_view_done(&v);
 *   }
 *
 * Everything a sample, a location or a line refers to is there when decoding succeeds: what came from
 * outside is not looked at twice.  Texts are views into the message, which must outlive the view.
 * Refused is what pprof's own tool refuses, too; let pass is, as there, a location whose mapping nobody
 * described.
 *
 * Threads   none: a view belongs to its owner.
 * Failure   SONDE_ERR_SYNTAX/EOF: not a profile; SONDE_ERR_TOO_BIG: a bound below; NOMEM.
 * Bounds    SONDE_PPROF_*_MAX; of a deeper stack the innermost locations stay, and `cut` says so.
 * Source    docs/spec/profile-batch.md, "pprof"
 */
#ifndef SONDE_CODEC_PPROF_READ_H
#define SONDE_CODEC_PPROF_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "codec/pb_read.h"
#include "sonde/status.h"

#define SONDE_PPROF_TYPES_MAX    64
#define SONDE_PPROF_MAPPINGS_MAX (1u << 18)
#define SONDE_PPROF_ROWS_MAX     (1u << 21) /* texts, functions, locations, lines: of each */
#define SONDE_PPROF_STACK_MAX    4096u
#define SONDE_PPROF_LABELS_MAX   64

typedef struct sonde_pprof_type {
    sonde_str type;
    sonde_str unit;
} sonde_pprof_type;

typedef struct sonde_pprof_view_mapping {
    uint64_t id;
    uint64_t start;
    uint64_t offset;
    uint32_t file; /* text, as below: index of `texts` */
} sonde_pprof_view_mapping;

typedef struct sonde_pprof_view_function {
    uint64_t id;
    uint32_t name; /* text; the one of the linker when there is no other */
    uint32_t file; /* text */
} sonde_pprof_view_function;

typedef struct sonde_pprof_location {
    uint64_t id;
    uint64_t address;
    uint32_t mapping; /* index + 1; 0: none */
    uint32_t first_line;
    uint32_t lines; /* innermost inlined function first */
} sonde_pprof_location;

typedef struct sonde_pprof_label {
    sonde_str key;
    sonde_str text; /* empty: a number */
    sonde_str unit; /* of the number; empty: none */
    int64_t number;
} sonde_pprof_label;

typedef struct sonde_pprof_sample {
    uint32_t locations[SONDE_PPROF_STACK_MAX]; /* indices, leaf first */
    size_t depth;
    uint64_t cut;                          /* outer locations that found no room */
    int64_t values[SONDE_PPROF_TYPES_MAX]; /* one a type */
    sonde_pprof_label labels[SONDE_PPROF_LABELS_MAX];
    size_t labels_len;
} sonde_pprof_sample;

typedef struct sonde_pprof_view {
    sonde_pprof_type types[SONDE_PPROF_TYPES_MAX];
    size_t types_len;
    sonde_str default_type; /* empty: it does not say */
    int64_t time_unix_ns;   /* as it says itself; 0: it does not */
    int64_t duration_ns;
    sonde_str *texts;
    sonde_pprof_view_mapping *mappings; /* these three in order of id */
    sonde_pprof_view_function *functions;
    sonde_pprof_location *locations;
    uint32_t *lines; /* indices of functions */
    size_t texts_len, mappings_len, functions_len, locations_len, lines_len;
    size_t samples_len;
    sonde_str message;
    sonde_pb_reader rest;       /* samples that were not read yet are in it */
    sonde_pprof_sample *sample; /* the one read last */
} sonde_pprof_view;

/* On success the view is the caller's until done(); on failure it is empty. */
SONDE_MUST_USE sonde_status sonde_pprof_view_decode(sonde_pprof_view *v, sonde_str message);
void sonde_pprof_view_done(sonde_pprof_view *v);

/* Valid until the next call.  NULL behind the last one; then from the first on again. */
const sonde_pprof_sample *sonde_pprof_next_sample(sonde_pprof_view *v);

/* The label of that key; NULL: none. */
const sonde_pprof_label *sonde_pprof_find_label(const sonde_pprof_sample *s, sonde_str key);

static inline sonde_str sonde_pprof_text(const sonde_pprof_view *v, uint32_t text)
{
    return text < v->texts_len ? v->texts[text] : (sonde_str){ NULL, 0 };
}

/* The file of a location's mapping; empty: nobody knows. */
sonde_str sonde_pprof_object(const sonde_pprof_view *v, const sonde_pprof_location *l);

/* A location's address as that file has it, wherever it was mapped. */
uint64_t sonde_pprof_object_address(const sonde_pprof_view *v, const sonde_pprof_location *l);

#endif /* SONDE_CODEC_PPROF_READ_H */
