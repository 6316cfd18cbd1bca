/* record.c - see the drawing in record.h. */
#include "record.h"

#include <string.h>

#include "base/digest.h"
#include "codec/bytes.h"

static const char magic[8] = { 'S', 'N', 'D', 'S', 'P', 'L', '0', '1' };

#define CRC_AT      8
#define CHECKED_AT  12
#define TEXT_LEN_AT 52

enum { TEXT_PATH, TEXT_TYPE, TEXT_ENCODING, TEXT_HEADERS };

static void put32(uint8_t *to, uint32_t v)
{
    to[0] = (uint8_t)v;
    to[1] = (uint8_t)(v >> 8);
    to[2] = (uint8_t)(v >> 16);
    to[3] = (uint8_t)(v >> 24);
}

static uint32_t get32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

static uint32_t checksum(const uint8_t *prefix, size_t prefix_len, const uint8_t *body,
                         size_t body_len)
{
    uint32_t crc = sonde_crc32c(0, prefix + CHECKED_AT, prefix_len - CHECKED_AT);

    return sonde_crc32c(crc, body, body_len);
}

size_t record_write_prefix(const upload *u, int64_t accepted_unix_ns, uint32_t attempts,
                           uint8_t out[RECORD_PREFIX_MAX])
{
    const char *texts[RECORD_TEXTS] = { [TEXT_PATH] = u->path,
                                        [TEXT_TYPE] = u->content_type,
                                        [TEXT_ENCODING] = u->content_encoding,
                                        [TEXT_HEADERS] = u->headers };
    size_t len = RECORD_HEAD_BYTES;
    int i;

    if (u->body_len > RECORD_BODY_MAX)
        return 0;
    memset(out, 0, RECORD_HEAD_BYTES);
    memcpy(out, magic, sizeof(magic));
    put32(out + 12, (uint32_t)u->kind);
    sonde_bytes_put64le(out + 16, u->body_len);
    sonde_bytes_put64le(out + 24, u->items);
    sonde_bytes_put64le(out + 32, u->chunks);
    sonde_bytes_put64le(out + 40, (uint64_t)accepted_unix_ns);
    put32(out + 48, attempts);
    for (i = 0; i < RECORD_TEXTS; i++) {
        size_t text_len = texts[i] ? strlen(texts[i]) : 0;

        if (text_len > RECORD_TEXT_MAX)
            return 0;
        out[TEXT_LEN_AT + 2 * i] = (uint8_t)text_len;
        out[TEXT_LEN_AT + 2 * i + 1] = (uint8_t)(text_len >> 8);
        if (text_len)
            memcpy(out + len, texts[i], text_len);
        len += text_len;
    }
    put32(out + CRC_AT, checksum(out, len, u->body, u->body_len));
    return len;
}

bool record_read_head(const uint8_t *head, uint64_t file_len, record_facts *out)
{
    uint64_t body_len = sonde_bytes_get64le(head + 16);
    int i;

    if (file_len < RECORD_HEAD_BYTES || memcmp(head, magic, sizeof(magic)) != 0 ||
        body_len > RECORD_BODY_MAX || get32(head + 12) >= UPLOAD_KINDS)
        return false;
    *out = (record_facts){ .items = sonde_bytes_get64le(head + 24),
                           .chunks = sonde_bytes_get64le(head + 32),
                           .accepted_unix_ns = (int64_t)sonde_bytes_get64le(head + 40),
                           .kind = get32(head + 12),
                           .attempts = get32(head + 48),
                           .body_len = (uint32_t)body_len,
                           .prefix_len = RECORD_HEAD_BYTES };
    for (i = 0; i < RECORD_TEXTS; i++) {
        const uint8_t *len = head + TEXT_LEN_AT + 2 * i;

        out->text_len[i] = (uint16_t)(len[0] | len[1] << 8);
        if (out->text_len[i] > RECORD_TEXT_MAX)
            return false;
        out->prefix_len += out->text_len[i];
    }
    return file_len == out->prefix_len + body_len;
}

/* They end in the head of a request: nothing that could start another line, but where lines belong. */
static bool is_clean(const char *text, size_t len, bool has_lines)
{
    size_t i;

    for (i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' && !(has_lines && text[i] == '\n'))
            return false;
    return true;
}

bool record_check(const record_facts *facts, const uint8_t *prefix, const uint8_t *body,
                  record_texts *out)
{
    const uint8_t *at = prefix + RECORD_HEAD_BYTES;
    int i;

    if (checksum(prefix, facts->prefix_len, body, facts->body_len) != get32(prefix + CRC_AT))
        return false;
    for (i = 0; i < RECORD_TEXTS; i++) {
        memcpy(out->text[i], at, facts->text_len[i]);
        out->text[i][facts->text_len[i]] = '\0';
        if (!is_clean(out->text[i], facts->text_len[i], i == TEXT_HEADERS))
            return false;
        at += facts->text_len[i];
    }
    return out->text[TEXT_PATH][0] == '/';
}
