/* propagate_b3.c - the b3 header, and its older form in several x-b3-* headers. */
#include <string.h>

#include "base/hex.h"
#include "vocab/headers.h"

#include "chars.h"
#include "propagate.h"

#define B3_MAX_BYTES (32 + 1 + 16 + 2)

static bool read_hex16(sonde_str s, uint64_t *out)
{
    return s.len == 16 && sonde_hex_parse_u64(s, 1, out) == SONDE_OK;
}

/* 32 or 16 digits. */
static bool read_trace_id(sonde_str s, sonde__remote *out)
{
    if (s.len == 32 && !read_hex16(sonde_str_sub(s, 0, 16), &out->trace_id_high))
        return false;
    if (s.len == 32)
        s = sonde_str_sub(s, 16, 16);
    return read_hex16(s, &out->trace_id_low) && (out->trace_id_high | out->trace_id_low) != 0;
}

static bool read_ids(sonde_str trace_id, sonde_str span_id, sonde__remote *out)
{
    return read_trace_id(trace_id, out) && read_hex16(span_id, &out->parent_id) &&
           out->parent_id != 0;
}

/* "1", "0", or "d" for a trace that is being debugged; anything else leaves the decision to us. */
static void read_state(sonde_str s, sonde__remote *out)
{
    if (s.len != 1 || (s.ptr[0] != '0' && s.ptr[0] != '1' && s.ptr[0] != 'd'))
        return;
    out->has_priority = true;
    out->priority = s.ptr[0] != '0';
}

bool sonde__extract_b3(const sonde__headers *h, sonde__remote *out)
{
    sonde_str rest = sonde_str_trim(h->b3);
    sonde_str trace_id = sonde_str_cut(&rest, '-');
    sonde_str span_id = sonde_str_cut(&rest, '-');

    memset(out, 0, sizeof(*out));
    if (!read_ids(trace_id, span_id, out))
        return false;
    read_state(sonde_str_cut(&rest, '-'), out); /* what follows is the parent's parent */
    return true;
}

bool sonde__extract_b3multi(const sonde__headers *h, sonde__remote *out)
{
    memset(out, 0, sizeof(*out));
    if (!read_ids(sonde_str_trim(h->b3_trace_id), sonde_str_trim(h->b3_span_id), out))
        return false;
    read_state(sonde_str_trim(h->b3_sampled), out);
    if (sonde_str_eq(sonde_str_trim(h->b3_flags), SONDE_STR("1"))) /* debug */
        read_state(SONDE_STR("d"), out);
    return true;
}

/* Returns how many digits were written. */
static size_t put_trace_id(const sonde__segment *s, char *to)
{
    size_t len = 0;

    if (s->trace_id_high != 0) {
        sonde__put_hex16(s->trace_id_high, to);
        len = 16;
    }
    sonde__put_hex16(s->trace_id_low, to + len);
    return len + 16;
}

static char state_of(const sonde__outbound *o)
{
    return sonde__decision_priority(o->decision) > 0 ? '1' : '0';
}

void sonde__inject_b3(const sonde__outbound *o, const sonde_writer *w)
{
    char text[B3_MAX_BYTES];
    size_t len = put_trace_id(o->segment, text);

    text[len] = '-';
    sonde__put_hex16(o->span_id, text + len + 1);
    len += 17;
    text[len++] = '-';
    text[len++] = state_of(o);
    w->set(w->user, SONDE_STR(SONDE_HDR_B3), (sonde_str){ text, len });
}

void sonde__inject_b3multi(const sonde__outbound *o, const sonde_writer *w)
{
    char state = state_of(o);
    char text[32];
    size_t len = put_trace_id(o->segment, text);

    w->set(w->user, SONDE_STR(SONDE_HDR_B3_TRACE_ID), (sonde_str){ text, len });
    sonde__put_hex16(o->span_id, text);
    w->set(w->user, SONDE_STR(SONDE_HDR_B3_SPAN_ID), (sonde_str){ text, 16 });
    w->set(w->user, SONDE_STR(SONDE_HDR_B3_SAMPLED), (sonde_str){ &state, 1 });
}
