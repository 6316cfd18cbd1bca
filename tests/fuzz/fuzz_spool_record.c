/* A file of the spool, whatever is in it: it is refused, or its texts are ones a request may carry and
 * writing it again gives the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/forwarder/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const record_facts *facts, const record_texts *texts, const uint8_t *data)
{
    uint8_t prefix[RECORD_PREFIX_MAX];
    upload u = { .kind = (int32_t)facts->kind,
                 .path = texts->text[0],
                 .content_type = texts->text[1],
                 .content_encoding = texts->text[2],
                 .body = (uint8_t *)(uintptr_t)data + facts->prefix_len,
                 .body_len = facts->body_len,
                 .items = facts->items,
                 .chunks = facts->chunks };

    memcpy(u.headers, texts->text[3], sizeof(u.headers));
    if (record_write_prefix(&u, facts->accepted_unix_ns, facts->attempts, prefix) !=
        facts->prefix_len)
        abort();
    if (memcmp(prefix + 12, data + 12, 48) != 0) /* all but checksum and reserved bytes */
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    record_facts facts;
    record_texts texts;
    int i;

    if (size < RECORD_HEAD_BYTES || !record_read_head(data, size, &facts))
        return 0;
    if (facts.prefix_len + (uint64_t)facts.body_len != size)
        abort();
    if (!record_check(&facts, data, data + facts.prefix_len, &texts))
        return 0;
    for (i = 0; i < RECORD_TEXTS; i++)
        if (strlen(texts.text[i]) != facts.text_len[i] || strchr(texts.text[i], '\r'))
            abort();
    write_again(&facts, &texts, data);
    return 0;
}
