/* read.h - a request for export of traces, as protobuf or JSON, into a builder.
 *
 * What is unknown is passed over.  On failure the builder has nothing to take.
 *
 * Threads   none.
 * Failure   SONDE_ERR_SYNTAX, SONDE_ERR_EOF: the body is at fault; SONDE_ERR_TOO_BIG; SONDE_ERR_NOMEM;
 *           b->error says what.
 * Bounds    those of the builder; nesting of values OTLP_VALUE_DEPTH_MAX, deeper ones come out empty.
 * Source    docs/spec/otlp.md, "Bodies".
 */
#ifndef SONDE_AGENT_OTLP_READ_H
#define SONDE_AGENT_OTLP_READ_H

#include "build.h"

typedef sonde_status (*otlp_read)(otlp_builder *b, sonde_str body);

sonde_status otlp_read_pb(otlp_builder *b, sonde_str body);
sonde_status otlp_read_json(otlp_builder *b, sonde_str body);

#endif /* SONDE_AGENT_OTLP_READ_H */
