/* rates_body.c - rates to JSON. */
#include "rates_body.h"

#include <stdlib.h>

#include "codec/json_write.h"

static int by_key(const void *a, const void *b)
{
    return sonde_str_cmp(((const rates_row *)a)->key, ((const rates_row *)b)->key);
}

void rates_body_write(rates_row *rows, size_t len, sonde_buf *out)
{
    sonde_json_writer w;
    size_t i;

    qsort(rows, len, sizeof(*rows), by_key);
    sonde_json_writer_init(&w, out);
    w.escape_html = true; /* as Go's encoder, so that the answer is the same byte for byte */
    sonde_json_begin_object(&w);
    sonde_json_key(&w, SONDE_STR("rate_by_service"));
    sonde_json_begin_object(&w);
    for (i = 0; i < len; i++) {
        sonde_json_key(&w, rows[i].key);
        sonde_json_double(&w, rows[i].rate);
    }
    sonde_json_end_object(&w);
    sonde_json_end_object(&w);
    sonde_buf_append_byte(out, '\n');
}
