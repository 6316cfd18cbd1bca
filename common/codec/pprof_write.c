/* pprof_write.c - the rows of a pprof message, field by field. */
#include "codec/pprof_write.h"

void sonde_pprof_put_type(sonde_buf *b, uint32_t field, uint64_t type, uint64_t unit)
{
    size_t mark = sonde_pb_begin(b, field);

    sonde_pb_varint(b, 1, type);
    sonde_pb_varint(b, 2, unit);
    sonde_pb_end(b, mark);
}

void sonde_pprof_put_text_label(sonde_buf *b, uint64_t key, uint64_t text)
{
    size_t mark = sonde_pb_begin(b, SONDE_PPROF_SAMPLE_LABEL);

    sonde_pb_varint(b, 1, key);
    sonde_pb_varint(b, 2, text);
    sonde_pb_end(b, mark);
}

void sonde_pprof_put_number_label(sonde_buf *b, uint64_t key, uint64_t number, uint64_t unit)
{
    size_t mark = sonde_pb_begin(b, SONDE_PPROF_SAMPLE_LABEL);

    sonde_pb_varint(b, 1, key);
    sonde_pb_varint(b, 3, number);
    sonde_pb_varint(b, 4, unit);
    sonde_pb_end(b, mark);
}

void sonde_pprof_put_mapping(sonde_buf *b, const sonde_pprof_mapping *m)
{
    size_t mark = sonde_pb_begin(b, SONDE_PPROF_MAPPING);

    sonde_pb_varint(b, 1, m->id);
    sonde_pb_varint(b, 2, m->start);
    sonde_pb_varint(b, 3, m->limit);
    sonde_pb_varint(b, 4, m->file_offset);
    sonde_pb_varint(b, 5, m->file);
    sonde_pb_varint(b, 6, m->build_id);
    sonde_pb_varint(b, 7, m->has_functions);
    sonde_pb_varint(b, 8, m->has_files);
    sonde_pb_varint(b, 9, m->has_lines);
    sonde_pb_varint(b, 10, m->has_inlines);
    sonde_pb_end(b, mark);
}

void sonde_pprof_put_function(sonde_buf *b, const sonde_pprof_function *fn)
{
    size_t mark = sonde_pb_begin(b, SONDE_PPROF_FUNCTION);

    sonde_pb_varint(b, 1, fn->id);
    sonde_pb_varint(b, 2, fn->name);
    sonde_pb_varint(b, 3, fn->system_name);
    sonde_pb_varint(b, 4, fn->file);
    sonde_pb_varint(b, 5, fn->start_line);
    sonde_pb_end(b, mark);
}

size_t sonde_pprof_begin_location(sonde_buf *b, uint64_t id, uint64_t mapping, uint64_t address)
{
    size_t mark = sonde_pb_begin(b, SONDE_PPROF_LOCATION);

    sonde_pb_varint(b, 1, id);
    sonde_pb_varint(b, 2, mapping);
    sonde_pb_varint(b, 3, address);
    return mark;
}

void sonde_pprof_put_line(sonde_buf *b, uint64_t function, uint64_t line)
{
    size_t mark = sonde_pb_begin(b, 4);

    sonde_pb_varint(b, 1, function);
    sonde_pb_varint(b, 2, line);
    sonde_pb_end(b, mark);
}
