/* Whatever goes into our gzip comes out of zlib's unchanged. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/compress/compress.h"
#include "codec/gzip_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str content = { (const char *)data, size };
    sonde_buf packed, plain;

    sonde_buf_init(&packed, 2 * size + 1024);
    sonde_buf_init(&plain, size + 1024);
    sonde_gzip_write(&packed, content);
    if (packed.status != SONDE_OK ||
        sonde_decompress(SONDE_ENCODING_GZIP, sonde_buf_str(&packed), &plain) != SONDE_OK ||
        !sonde_str_eq(sonde_buf_str(&plain), content))
        abort();
    sonde_buf_done(&packed);
    sonde_buf_done(&plain);
    return 0;
}
