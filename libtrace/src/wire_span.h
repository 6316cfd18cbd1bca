/* wire_span.h - a span as encode_v04.c wrote it, seen again without copying.
 *
 * What must agree with what is sent (another form of payload, statistics) is made from the encoded span,
 * so that defaults, cut texts and repaired ones are decided in one place.
 *
 * Threads   none: views into the payload. */
#ifndef SONDE_LIBTRACE_WIRE_SPAN_H
#define SONDE_LIBTRACE_WIRE_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "codec/msgpack_read.h"

typedef struct sonde__wire_map {
    sonde_mp_reader at; /* a copy of it reads key, value, key, ... */
    uint32_t len;
} sonde__wire_map;

typedef struct sonde__wire_span {
    sonde_str service;
    sonde_str name;
    sonde_str resource;
    sonde_str type;
    uint64_t trace_id;
    uint64_t span_id;
    uint64_t parent_id;
    uint64_t start_unix_ns;
    uint64_t duration_ns;
    uint64_t error;
    sonde__wire_map meta;    /* text -> text */
    sonde__wire_map metrics; /* text -> double */
    sonde__wire_map structs; /* text -> bytes */
    sonde_str links;         /* the array of maps as it stands; empty: none */
    sonde_str events;        /* the same */
} sonde__wire_span;

/* Reads the next span; false: not a span (r->status). */
bool sonde__wire_span_read(sonde_mp_reader *r, sonde__wire_span *out);

typedef struct sonde__wire_link {
    uint64_t trace_id;
    uint64_t trace_id_high;
    uint64_t span_id;
    uint64_t flags;
    sonde_str tracestate;
    sonde__wire_map attributes; /* text -> text */
} sonde__wire_link;

/* Reads the next link; false: not a link (r->status). */
bool sonde__wire_link_read(sonde_mp_reader *r, sonde__wire_link *out);

#endif /* SONDE_LIBTRACE_WIRE_SPAN_H */
