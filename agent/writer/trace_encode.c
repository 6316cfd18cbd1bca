/* trace_encode.c - one function a message, fields in the order of their numbers.
 *
 * Zero values are left out, as proto3 does; entries of maps carry key and value always.
 */
#include "trace_encode.h"

#include "codec/pb_write.h"

static void map_str(sonde_buf *b, uint32_t field, const span_meta *tags, uint32_t len)
{
    uint32_t i;

    for (i = 0; i < len; i++)
        sonde_pb_map_str_str(b, field, tags[i].key, tags[i].value);
}

/* The scalar fields of AttributeAnyValue, which are those of the elements of its array too. */
static void any_scalar(sonde_buf *b, const span_any *v)
{
    sonde_pb_varint(b, 1, (uint64_t)v->type);
    switch (v->type) {
    case SPAN_ANY_STRING:
        sonde_pb_str(b, 2, v->str);
        break;
    case SPAN_ANY_BOOL:
        sonde_pb_varint(b, 3, v->integer != 0);
        break;
    case SPAN_ANY_INT:
        sonde_pb_int64(b, 4, v->integer);
        break;
    case SPAN_ANY_DOUBLE:
        sonde_pb_double(b, 5, v->number);
        break;
    default:
        break;
    }
}

static void any(sonde_buf *b, uint32_t field, const span_any *v)
{
    size_t mark = sonde_pb_begin(b, field), array, element;
    uint32_t i;

    any_scalar(b, v);
    if (v->type == SPAN_ANY_ARRAY) {
        array = sonde_pb_begin(b, 6);
        for (i = 0; i < v->values_len; i++) {
            element = sonde_pb_begin(b, 1);
            any_scalar(b, &v->values[i]);
            sonde_pb_end(b, element);
        }
        sonde_pb_end(b, array);
    }
    sonde_pb_end(b, mark);
}

static void event(sonde_buf *b, const span_event *e)
{
    size_t mark = sonde_pb_begin(b, 15), entry;
    uint32_t i;

    sonde_pb_fixed64(b, 1, e->time_unix_nano);
    sonde_pb_str(b, 2, e->name);
    for (i = 0; i < e->attributes_len; i++) {
        entry = sonde_pb_begin(b, 3);
        sonde_pb_str_always(b, 1, e->attributes[i].key);
        any(b, 2, &e->attributes[i].value);
        sonde_pb_end(b, entry);
    }
    sonde_pb_end(b, mark);
}

static void span_link_out(sonde_buf *b, const span_link *l)
{
    size_t mark = sonde_pb_begin(b, 14);

    sonde_pb_varint(b, 1, l->trace_id);
    sonde_pb_varint(b, 2, l->trace_id_high);
    sonde_pb_varint(b, 3, l->span_id);
    map_str(b, 4, l->attributes, l->attributes_len);
    sonde_pb_str(b, 5, l->tracestate);
    sonde_pb_varint(b, 6, l->flags);
    sonde_pb_end(b, mark);
}

static void span(sonde_buf *b, const payload_span *s)
{
    size_t mark = sonde_pb_begin(b, 3);
    uint32_t i;

    sonde_pb_str(b, 1, s->service);
    sonde_pb_str(b, 2, s->name);
    sonde_pb_str(b, 3, s->resource);
    sonde_pb_varint(b, 4, s->trace_id);
    sonde_pb_varint(b, 5, s->span_id);
    sonde_pb_varint(b, 6, s->parent_id);
    sonde_pb_int64(b, 7, s->start);
    sonde_pb_int64(b, 8, s->duration);
    sonde_pb_int64(b, 9, s->error);
    map_str(b, 10, s->meta, s->meta_len);
    for (i = 0; i < s->metrics_len; i++)
        sonde_pb_map_str_double(b, 11, s->metrics[i].key, s->metrics[i].value);
    sonde_pb_str(b, 12, s->type);
    map_str(b, 13, s->meta_struct, s->meta_struct_len);
    for (i = 0; i < s->links_len; i++)
        span_link_out(b, &s->links[i]);
    for (i = 0; i < s->events_len; i++)
        event(b, &s->events[i]);
    sonde_pb_end(b, mark);
}

void encode_chunk(sonde_buf *b, const payload_chunk *c)
{
    size_t mark = sonde_pb_begin(b, 6);
    uint32_t i;

    sonde_pb_int64(b, 1, c->priority);
    sonde_pb_str(b, 2, c->origin);
    for (i = 0; i < c->spans_len; i++)
        span(b, &c->spans[i]);
    map_str(b, 4, c->tags, c->tags_len);
    sonde_pb_varint(b, 5, c->dropped_trace);
    sonde_pb_end(b, mark);
}

void encode_tracer_head(sonde_buf *b, const payload *p)
{
    sonde_pb_str(b, 1, p->container_id);
    sonde_pb_str(b, 2, p->language_name);
    sonde_pb_str(b, 3, p->language_version);
    sonde_pb_str(b, 4, p->tracer_version);
    sonde_pb_str(b, 5, p->runtime_id);
}

void encode_tracer_tail(sonde_buf *b, const payload *p)
{
    map_str(b, 7, p->tags, p->tags_len);
    sonde_pb_str(b, 8, p->env);
    sonde_pb_str(b, 9, p->hostname);
    sonde_pb_str(b, 10, p->app_version);
}

void encode_agent_head(sonde_buf *b, const agent_facts *a)
{
    sonde_pb_str(b, 1, a->hostname);
    sonde_pb_str(b, 2, a->env);
}

void encode_agent_tail(sonde_buf *b, const agent_facts *a)
{
    if (a->apm_mode.len)
        sonde_pb_map_str_str(b, 6, SONDE_STR("_dd.apm_mode"), a->apm_mode);
    sonde_pb_str(b, 7, a->version);
    sonde_pb_double(b, 8, a->target_tps);
    sonde_pb_double(b, 9, a->errors_tps);
    sonde_pb_varint(b, 10, a->rare_sampler);
}
