/* Any bytes as the message of OTEL_CTX: what is taken from it is ended and in its range. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/src/process_ctx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_prof__process_ctx ctx;

    (void)sonde_prof__process_ctx_parse(data, size, &ctx);
    if (!memchr(ctx.runtime_id, 0, sizeof(ctx.runtime_id)) || ctx.local_root_key < -1 ||
        ctx.local_root_key > 255)
        abort();
    return 0;
}
