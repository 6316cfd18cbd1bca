/* ot_member.c - randomness and threshold of a trace. */
#include "ot_member.h"

#include <string.h>

#include "chars.h"
#include "sampler.h"

#define DIGITS 14 /* 56 bits */
#define WHOLE  (UINT64_C(1) << 56)

static bool is_hex(sonde_str s, size_t min)
{
    size_t i;

    for (i = 0; i < s.len; i++)
        if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'a' && s.ptr[i] <= 'f')))
            return false;
    return s.len >= min && s.len <= DIGITS;
}

static bool is_kept(sonde_str item, bool keeps_th)
{
    sonde_str value = item;
    sonde_str key = sonde_str_cut(&value, ':');

    if (sonde_str_eq(key, SONDE_STR("rv")))
        return is_hex(value, DIGITS);
    if (sonde_str_eq(key, SONDE_STR("th")))
        return keeps_th && is_hex(value, 1);
    return item.len > 0;
}

size_t sonde__ot_clean(sonde_str member, bool keeps_th, char *to)
{
    sonde_str rest = sonde_str_sub(member, 3, member.len);
    size_t len = 3;

    memcpy(to, "ot=", 3);
    while (rest.len > 0) {
        sonde_str item = sonde_str_trim(sonde_str_cut(&rest, ';'));

        if (!is_kept(item, keeps_th))
            continue;
        if (len > 3)
            to[len++] = ';';
        memcpy(to + len, item.ptr, item.len);
        len += item.len;
    }
    return len > 3 ? len : 0;
}

/* (1 - rate) of the whole, rounded; never the whole itself. */
static uint64_t threshold_of(double rate)
{
    double exact = (1 - rate) * (double)WHOLE;
    uint64_t t = (uint64_t)exact;

    if (exact - (double)t >= 0.5) /* not exact + 0.5: that may round up by itself */
        t++;
    return t < WHOLE ? t : WHOLE - 1;
}

static void put_digits(uint64_t v, char *to)
{
    char all[16];

    sonde__put_hex16(v, all);
    memcpy(to, all + 16 - DIGITS, DIGITS);
}

/* The limiter, and nothing else, makes a rate's decision differ from its hash. */
static bool is_by_hash(uint64_t trace_id_low, sonde__decision d)
{
    return sonde__sampler_keeps(trace_id_low, sonde__decision_rate(d)) ==
           (sonde__decision_priority(d) > 0);
}

size_t sonde__ot_make(uint64_t trace_id_low, sonde__decision d, char to[SONDE__OT_BYTES])
{
    double rate = sonde__decision_rate(d);
    bool kept = sonde__decision_priority(d) > 0;
    uint64_t random, threshold;
    size_t len;

    if (!sonde__decision_by_rate(d) || sonde__decision_mechanism(d) == SONDE__BY_DEFAULT ||
        !(rate > 0) || !is_by_hash(trace_id_low, d))
        return 0;
    random = ~sonde__sampler_hash(trace_id_low) >> 8;
    threshold = threshold_of(rate);
    if ((random >= threshold) != kept)
        random = kept ? threshold : threshold - 1;
    memcpy(to, "ot=rv:", 6);
    put_digits(random, to + 6);
    memcpy(to + 6 + DIGITS, ";th:", 4);
    put_digits(threshold, to + 10 + DIGITS);
    for (len = 10 + DIGITS + DIGITS; to[len - 1] == '0' && len > 10 + DIGITS + 1; len--)
        ;
    return len;
}

bool sonde__ot_holds(uint64_t trace_id_low, sonde__decision d)
{
    if (d & SONDE__DECISION_INHERITED)
        return true;
    return sonde__decision_by_rate(d) && is_by_hash(trace_id_low, d);
}
