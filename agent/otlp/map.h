/* map.h - OTLP's words into Datadog's: what the builder calls for each resource and span.
 *
 * Threads   none.  Source: docs/spec/otlp.md, "Span", "Operation name", "Resource name".
 * Failure   false; the builder's status says why. */
#ifndef SONDE_AGENT_OTLP_MAP_H
#define SONDE_AGENT_OTLP_MAP_H

#include "build.h"

bool otlp_map_resource(otlp_builder *b);                /* b->resource into b->p and b->facts */
bool otlp_map_span(otlp_builder *b, payload_span *out); /* b->span under b->scope, b->resource */

/* The first attribute that says something, the span's before the resource's; NULL: none. */
const otlp_value *otlp_find(const otlp_builder *b, otlp_key key);
bool otlp_find_text(otlp_builder *b, otlp_key key, sonde_str *out); /* empty: none */

/* name.c */
bool otlp_operation_name(otlp_builder *b, sonde_str *out);
bool otlp_resource_name(otlp_builder *b, sonde_str *out);
bool otlp_span_type(otlp_builder *b, sonde_str *out);
sonde_str otlp_reason_phrase(int64_t http_status); /* empty: unknown */

/* text.c */
bool otlp_value_text(otlp_builder *b, const otlp_value *v, sonde_str *out);
bool otlp_events_text(otlp_builder *b, sonde_str *out);
bool otlp_links_text(otlp_builder *b, sonde_str *out);
bool otlp_keep_text(otlp_builder *b,
                    sonde_str *out); /* b->text into the arena; cut when too long */
bool otlp_join(otlp_builder *b, const sonde_str *parts, size_t len, sonde_str *out);

#endif /* SONDE_AGENT_OTLP_MAP_H */
