/* remote_answer.c - hashes, base64 and JSON of the house; what they mean is checked where they live. */
#include "support/remote_answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/hex.h"
#include "codec/json_write.h"

static void put_base64(sonde_json_writer *w, const char *key, const void *bytes, size_t len)
{
    char *text = (char *)malloc(sonde_base64_encode_len(len) + 1);

    sonde_json_put_str(w, key,
                       (sonde_str){ text, sonde_base64_encode((const uint8_t *)bytes, len, text) });
    free(text);
}

static void put_target(sonde_json_writer *w, const remote_content *file)
{
    uint8_t hash[32];
    char hex[64];

    sonde_sha256(file->json, strlen(file->json), hash);
    sonde_hex_bytes(hash, sizeof(hash), hex);
    sonde_json_key(w, sonde_str_from(file->path));
    sonde_json_begin_object(w);
    sonde_json_key(w, SONDE_STR("custom"));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "v", file->version);
    sonde_json_end_object(w);
    sonde_json_key(w, SONDE_STR("hashes"));
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "sha256", (sonde_str){ hex, sizeof(hex) });
    sonde_json_end_object(w);
    sonde_json_put_u64(w, "length", strlen(file->json));
    sonde_json_end_object(w);
}

static void put_targets(sonde_json_writer *out, uint64_t version, const remote_content *files,
                        size_t len)
{
    sonde_json_writer w;
    sonde_buf b;
    size_t i;

    sonde_buf_init(&b, 1u << 20);
    sonde_json_writer_init(&w, &b);
    sonde_json_begin_object(&w);
    sonde_json_key(&w, SONDE_STR("signed"));
    sonde_json_begin_object(&w);
    sonde_json_put_u64(&w, "version", version);
    sonde_json_key(&w, SONDE_STR("custom"));
    sonde_json_begin_object(&w);
    sonde_json_put_str(&w, "opaque_backend_state", SONDE_STR("b3BhcXVl"));
    sonde_json_end_object(&w);
    sonde_json_key(&w, SONDE_STR("targets"));
    sonde_json_begin_object(&w);
    for (i = 0; i < len; i++)
        put_target(&w, &files[i]);
    sonde_json_end_object(&w);
    sonde_json_end_object(&w);
    sonde_json_end_object(&w);
    put_base64(out, "targets", b.data, b.len);
    sonde_buf_done(&b);
}

char *remote_answer(uint64_t version, const remote_content *files, size_t len)
{
    sonde_json_writer w;
    sonde_buf b;
    char *text;
    size_t i;

    sonde_buf_init(&b, 1u << 20);
    sonde_json_writer_init(&w, &b);
    sonde_json_begin_object(&w);
    put_targets(&w, version, files, len);
    sonde_json_key(&w, SONDE_STR("target_files"));
    sonde_json_begin_array(&w);
    for (i = 0; i < len; i++) {
        sonde_json_begin_object(&w);
        sonde_json_put_str(&w, "path", sonde_str_from(files[i].path));
        put_base64(&w, "raw", files[i].json, strlen(files[i].json));
        sonde_json_end_object(&w);
    }
    sonde_json_end_array(&w);
    sonde_json_key(&w, SONDE_STR("client_configs"));
    sonde_json_begin_array(&w);
    for (i = 0; i < len; i++)
        sonde_json_str(&w, sonde_str_from(files[i].path));
    sonde_json_end_array(&w);
    sonde_json_end_object(&w);
    text = strdup(sonde_buf_cstr(&b));
    sonde_buf_done(&b);
    return text;
}
