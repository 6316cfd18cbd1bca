/* fuzz_baggage.c - any baggage, each line a header.
 *
 * Property: at most 64 items and 8192 bytes go out, in characters the header takes.  Whatever went out is read as
 * the items it was made of, in their order. */
#include "propagation.h"

#define ITEMS_MAX 256

typedef struct items {
    size_t len;
    uint64_t hash[ITEMS_MAX]; /* of key and value */
} items;

static uint64_t mix(uint64_t h, sonde_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * UINT64_C(1099511628211);
    return h * 31 + s.len;
}

static void note(void *user, sonde_str key, sonde_str value)
{
    items *i = (items *)user;

    must(i->len < ITEMS_MAX && key.len > 0 && value.len > 0);
    i->hash[i->len++] = mix(mix(1, key), value);
}

static size_t check_header(sonde_str header)
{
    size_t sent = 0;
    size_t i;

    must(header.len <= 8192);
    for (i = 0; i < header.len; i++)
        must(header.ptr[i] > ' ' && !strchr("\"\\;", header.ptr[i]));
    for (; header.len > 0; sent++)
        must(sonde_str_cut(&header, ',').len >= 3);
    must(sent <= 64);
    return sent;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static carrier in, out;
    sonde_str rest = { (const char *)data, size };
    items had = { .len = 0 };
    items has = { .len = 0 };
    sonde_context *context, *again;

    start_with_style("baggage");
    memset(&in, 0, sizeof(in));
    while (rest.len > 0 && in.len < CARRIER_ROWS)
        carrier_put(&in, "baggage", sonde_str_cut(&rest, '\n'));
    context = pass_through(&in, &out);
    sonde_context_each_baggage(context, note, &had);
    again = carrier_extract(&out);
    sonde_context_each_baggage(again, note, &has);
    must(has.len == check_header(carrier_get(&out, "baggage")) && has.len <= had.len);
    must(memcmp(had.hash, has.hash, has.len * sizeof(has.hash[0])) == 0);
    sonde_context_release(again);
    sonde_context_release(context);
    return 0;
}
