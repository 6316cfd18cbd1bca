/* Property: whatever the bytes, the output stays below its ceiling; what decompresses, compresses into
 * something that decompresses to the same.  The first byte chooses the encoding. */
#include <stdint.h>
#include <stdlib.h>

#include "codec/compress/compress.h"

#define CHECK(cond)   ((cond) ? (void)0 : abort())
#define CEILING_BYTES ((size_t)64 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(sonde_encoding e, sonde_str content)
{
    sonde_buf packed, back;

    sonde_buf_init(&packed, CEILING_BYTES * 2);
    sonde_buf_init(&back, CEILING_BYTES);
    CHECK(sonde_compress(e, 0, content, &packed) == SONDE_OK);
    CHECK(sonde_decompress(e, sonde_buf_str(&packed), &back) == SONDE_OK);
    CHECK(sonde_str_eq(sonde_buf_str(&back), content));
    sonde_buf_done(&packed);
    sonde_buf_done(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const sonde_encoding encodings[] = { SONDE_ENCODING_GZIP, SONDE_ENCODING_DEFLATE,
                                                SONDE_ENCODING_ZSTD };
    sonde_encoding e;
    sonde_status status;
    sonde_buf out;

    if (size == 0)
        return 0;
    e = encodings[data[0] % 3];
    sonde_buf_init(&out, CEILING_BYTES);
    status = sonde_decompress(e, (sonde_str){ (const char *)data + 1, size - 1 }, &out);
    CHECK(out.len <= CEILING_BYTES && out.cap <= CEILING_BYTES);
    CHECK(status == SONDE_OK || status == SONDE_ERR_SYNTAX || status == SONDE_ERR_EOF ||
          status == SONDE_ERR_TOO_BIG);
    if (status == SONDE_OK)
        check_round_trip(e, sonde_buf_str(&out));
    sonde_buf_done(&out);
    return 0;
}
