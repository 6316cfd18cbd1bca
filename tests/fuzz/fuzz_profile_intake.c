/* fuzz_profile_intake - any bytes as an upload are refused, or its parts lie in the body, every attachment is
 * counted once, and what is kept has a service, types and an order of times.  The first line is the type. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "dashboards/intake/decode_profile.h"
#include "dashboards/intake/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool is_inside(sonde_str part, sonde_str whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_parts(sonde_str type, sonde_str body)
{
    multipart m;
    multipart_part p;

    if (multipart_open(&m, type, body) != SONDE_OK)
        return;
    while (multipart_next(&m, &p))
        check(is_inside(p.body, body) && is_inside(p.name, body) && is_inside(p.filename, body));
}

static void check_upload(sonde_str type, sonde_str body)
{
    store_batch *b = store_batch_new();
    profile_counts counts;
    uint64_t skipped = 0;
    size_t i;

    if (b && profile_decode(type, body, b, &counts) == SONDE_OK) {
        for (i = 0; i < PROFILE_SKIPS; i++)
            skipped += counts.skipped[i];
        check(counts.attachments == counts.profiles + skipped);
        check(counts.profiles == b->profiles_len);
        for (i = 0; i < b->profiles_len; i++)
            check(b->profiles[i].service.len && b->profiles[i].types.len &&
                  b->profiles[i].start_unix_ns <= b->profiles[i].end_unix_ns);
    }
    store_batch_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str body = { (const char *)data, size };
    sonde_str type = sonde_str_cut(&body, '\n');

    check_parts(type, body);
    check_upload(type, body);
    return 0;
}
