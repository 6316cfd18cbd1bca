/* fuzz_remote_config.c - the agent's answers to two polls: two inputs, apart by a NUL.
 *
 * Base64 hides what is inside from a fuzzer, so "targets" and "raw" may stand in the clear between the
 * bytes 0x01 and 0x02 here, and are encoded before they are read.
 *
 * Property   never crashes; at most as many files as the ceilings allow are held, each as its hash says;
 *            a rejected update leaves the files as they were. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/hex.h"
#include "base/log.h"
#include "libtrace/src/remote_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static void append_base64(sonde_buf *b, sonde_str clear)
{
    uint8_t *to = sonde_buf_reserve(b, sonde_base64_encode_len(clear.len) + 1);

    if (to)
        sonde_buf_commit(b, sonde_base64_encode((const uint8_t *)clear.ptr, clear.len, (char *)to));
}

static void encode(sonde_buf *b, sonde_str text)
{
    while (text.len > 0) {
        const char *begin = (const char *)memchr(text.ptr, 1, text.len);
        const char *end =
            begin ? (const char *)memchr(begin, 2, text.len - (size_t)(begin - text.ptr)) : NULL;

        if (!end) {
            sonde_buf_append_str(b, text);
            return;
        }
        sonde_buf_append(b, text.ptr, (size_t)(begin - text.ptr));
        append_base64(b, (sonde_str){ begin + 1, (size_t)(end - begin - 1) });
        text = sonde_str_sub(text, (size_t)(end - text.ptr) + 1, text.len);
    }
}

static void check(const sonde__remote_state *s)
{
    size_t bytes = 0;
    uint32_t i;

    require(s->len <= SONDE__REMOTE_CONFIGS_MAX);
    for (i = 0; i < s->len; i++) {
        uint8_t hash[32];

        sonde_sha256(s->file[i]->content.ptr, s->file[i]->content.len, hash);
        require(memcmp(hash, s->file[i]->sha256, sizeof(hash)) == 0);
        require(s->file[i]->path.len <= SONDE__REMOTE_PATH_MAX_BYTES);
        bytes += s->file[i]->content.len;
    }
    require(bytes <= SONDE__REMOTE_HELD_MAX_BYTES);
}

static void take(sonde__remote_state *s, sonde_str input)
{
    uint32_t len = s->len;
    sonde_buf b;
    bool changed;

    sonde_buf_init(&b, 1u << 20);
    encode(&b, input);
    changed = sonde__remote_state_take(s, sonde_buf_str(&b));
    require(!(s->error[0] && (changed || s->len != len)));
    check(s);
    sonde_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str rest = { (const char *)data, size };
    sonde__remote_state s = { 0 };

    sonde_log_set_level(SONDE_LOG_OFF);
    take(&s, sonde_str_cut(&rest, '\0'));
    take(&s, rest);
    sonde__remote_state_done(&s);
    return 0;
}
