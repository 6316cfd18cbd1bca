/* agent/writer/trace_encode.h - payload structs to Datadog's AgentPayload protobuf.
 *
 * A TracerPayload is written in three parts, because its chunks may be spread over several: the fields
 * before the chunks, the chunks, the fields behind them.
 *
 * Threads   pure; errors are the buffer's sticky status.
 * Source    docs/spec/writers.md, "Traces".
 */
#ifndef SONDE_AGENT_WRITER_TRACE_ENCODE_H
#define SONDE_AGENT_WRITER_TRACE_ENCODE_H

#include "agent/payload/payload.h"
#include "base/buf.h"

typedef struct agent_facts { /* the fields of AgentPayload itself */
    sonde_str hostname;
    sonde_str env;
    sonde_str version;
    sonde_str apm_mode; /* tag _dd.apm_mode; empty: none */
    double target_tps;
    double errors_tps;
    bool rare_sampler;
} agent_facts;

void encode_agent_head(sonde_buf *b, const agent_facts *a); /* fields before the tracer payloads */
void encode_agent_tail(sonde_buf *b, const agent_facts *a); /* and behind them */

void encode_tracer_head(sonde_buf *b, const payload *p);
void encode_tracer_tail(sonde_buf *b, const payload *p);
void encode_chunk(sonde_buf *b, const payload_chunk *c); /* tag and length included */

#define AGENT_FIELD_TRACER_PAYLOADS 5

#endif /* SONDE_AGENT_WRITER_TRACE_ENCODE_H */
