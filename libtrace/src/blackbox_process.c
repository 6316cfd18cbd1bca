/* blackbox_process.c - the map of process_map.h with the tags of DD_TAGS, in a page's rest. */
#include "blackbox_process.h"

#include <string.h>

#include "base/buf.h"

#include "process_map.h"

#define VALUE_MAX_BYTES 200

size_t sonde__blackbox_process(const sonde__config *c, const char *runtime_id,
                               uint8_t out[SONDE_BLACKBOX_PROCESS_MAX])
{
    uint32_t tags = c->tags_len;
    size_t len = 0;
    sonde_buf b;

    sonde_buf_init(&b, SONDE_BLACKBOX_PROCESS_MAX);
    sonde__process_map(&b, c, runtime_id, VALUE_MAX_BYTES, tags);
    while (b.status == SONDE_ERR_TOO_BIG && tags > 0) {
        sonde_buf_reset(&b);
        sonde__process_map(&b, c, runtime_id, VALUE_MAX_BYTES, --tags);
    }
    if (b.status == SONDE_OK) {
        len = b.len;
        memcpy(out, b.data, len);
    }
    sonde_buf_done(&b);
    return len;
}
