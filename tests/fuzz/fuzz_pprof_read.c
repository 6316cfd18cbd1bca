/* fuzz_pprof_read - any bytes as a pprof message are refused, or become tables whose references all hold. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/pprof_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_references(sonde_pprof_view *v)
{
    const sonde_pprof_sample *s;
    size_t i, k, samples = 0;

    for (i = 0; i < v->locations_len; i++) {
        check(v->locations[i].mapping <= v->mappings_len);
        check(v->locations[i].first_line + v->locations[i].lines <= v->lines_len);
    }
    for (i = 0; i < v->lines_len; i++)
        check(v->lines[i] < v->functions_len);
    for (i = 0; i < v->functions_len; i++)
        check(v->functions[i].name == 0 || v->functions[i].name < v->texts_len);
    for (; (s = sonde_pprof_next_sample(v)); samples++)
        for (k = 0; k < s->depth; k++)
            check(s->locations[k] < v->locations_len);
    check(samples == v->samples_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_pprof_view v;

    if (sonde_pprof_view_decode(&v, (sonde_str){ (const char *)data, size }) != SONDE_OK)
        return 0;
    check_references(&v);
    sonde_pprof_view_done(&v);
    return 0;
}
