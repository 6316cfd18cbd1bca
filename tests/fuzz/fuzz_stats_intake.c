/* fuzz_stats_intake - any bytes as StatsPayload are refused, or become rows whose buckets are aligned and
 * whose sketches unpack; any bytes as a packed sketch are refused or can be packed again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "dashboards/intake/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_packed(sonde_str bytes)
{
    sonde_sketch s;
    sonde_buf b;

    sonde_sketch_init(&s);
    sonde_buf_init(&b, 1 << 20);
    if (stats_sketch_unpack(bytes, &s) == SONDE_OK) {
        stats_sketch_pack(&s, &b);
        if (b.status != SONDE_OK)
            abort();
    }
    sonde_sketch_done(&s);
    sonde_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    store_batch *b = store_batch_new();
    sonde_sketch s;
    size_t i;

    sonde_sketch_init(&s);
    if (b && stats_decode((sonde_str){ (const char *)data, size }, b) == SONDE_OK)
        for (i = 0; i < b->stats_len; i++)
            if (b->stats[i].bucket_s % STATS_STEP_S != 0 ||
                stats_sketch_unpack(b->stats[i].ok_sketch, &s) != SONDE_OK ||
                stats_sketch_unpack(b->stats[i].err_sketch, &s) != SONDE_OK)
                abort();
    sonde_sketch_done(&s);
    store_batch_free(b);
    check_packed((sonde_str){ (const char *)data, size });
    return 0;
}
