/* process_tags.c - lists of tags, sorted and hashed. */
#include "process_tags.h"

#include <stdlib.h>

#include "base/digest.h"

static int ascending(const void *a, const void *b)
{
    return sonde_str_cmp(*(const sonde_str *)a, *(const sonde_str *)b);
}

uint64_t tag_texts_hash(sonde_str *texts, size_t len)
{
    uint64_t h = SONDE_FNV1A64_INIT;
    size_t i;

    if (!len)
        return 0;
    qsort(texts, len, sizeof(texts[0]), ascending);
    for (i = 0; i < len; i++) {
        if (i)
            h = sonde_fnv1a64(h, "", 1);
        h = sonde_fnv1a64(h, texts[i].ptr, texts[i].len);
    }
    return h;
}

uint64_t process_tags_hash(sonde_str list)
{
    sonde_str tags[PROCESS_TAGS_MAX];
    size_t len = 0;

    while (list.len && len + 1 < PROCESS_TAGS_MAX)
        tags[len++] = sonde_str_cut(&list, ',');
    if (list.len)
        tags[len++] = list;
    return tag_texts_hash(tags, len);
}
