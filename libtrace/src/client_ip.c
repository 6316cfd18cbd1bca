/* client_ip.c - addresses and ports, lists of them, and RFC 7239. */
#include "client_ip.h"

#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>

const char *const sonde__client_ip_headers[] = {
    "x-forwarded-for",
    "x-real-ip",
    "true-client-ip",
    "x-client-ip",
    "forwarded",
    "forwarded-for",
    "x-cluster-client-ip",
    "fastly-client-ip",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    NULL,
};

typedef struct prefix {
    uint8_t bytes[2];
    uint8_t bits;
} prefix;

static bool has_prefix(const uint8_t *address, const prefix *p, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        unsigned mask = 0xffffu << (16 - p[i].bits);
        unsigned is = (unsigned)address[0] << 8 | address[1];
        unsigned want = (unsigned)p[i].bytes[0] << 8 | p[i].bytes[1];

        if ((is & mask) == (want & mask & 0xffff))
            return true;
    }
    return false;
}

static bool is_global_v4(const uint8_t *a)
{
    static const prefix local[] = { { { 10, 0 }, 8 },  { { 172, 16 }, 12 },  { { 192, 168 }, 16 },
                                    { { 127, 0 }, 8 }, { { 169, 254 }, 16 }, { { 100, 64 }, 10 } };

    return !has_prefix(a, local, sizeof(local) / sizeof(local[0]));
}

static bool is_global_v6(const uint8_t a[16])
{
    static const prefix local[] = { { { 0xfc, 0 }, 7 },
                                    { { 0xfe, 0x80 }, 10 },
                                    { { 0xfe, 0xc0 }, 10 } };
    static const uint8_t zero[15];
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

    if (memcmp(a, mapped, sizeof(mapped)) == 0)
        return is_global_v4(a + 12);
    if (memcmp(a, zero, 15) == 0 && a[15] == 1)
        return false; /* loopback */
    return !has_prefix(a, local, sizeof(local) / sizeof(local[0]));
}

/* Whether `text` is an address and nothing else. */
static bool read_address(sonde_str text, bool *out_global)
{
    char copy[SONDE__IP_MAX_BYTES + 1];
    uint8_t bytes[16];

    if (text.len == 0 || text.len > SONDE__IP_MAX_BYTES || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, bytes) == 1)
        *out_global = is_global_v4(bytes);
    else if (inet_pton(AF_INET6, copy, bytes) == 1)
        *out_global = is_global_v6(bytes);
    else
        return false;
    return true;
}

/* "1.2.3.4", "1.2.3.4:80", "::1", "[::1]", "[::1]:80": the address. */
static sonde_str without_port(sonde_str text)
{
    const char *colon;

    if (text.len > 0 && text.ptr[0] == '[') {
        const char *end = (const char *)memchr(text.ptr, ']', text.len);

        return end ? sonde_str_sub(text, 1, (size_t)(end - text.ptr) - 1) : text;
    }
    colon = text.len > 0 ? (const char *)memchr(text.ptr, ':', text.len) : NULL;
    if (!colon || memchr(colon + 1, ':', text.len - 1 - (size_t)(colon - text.ptr)))
        return text; /* no port, or an IPv6 address */
    return sonde_str_sub(text, 0, (size_t)(colon - text.ptr));
}

static void note(sonde__client_ip *c, sonde_str text)
{
    sonde_str ip = without_port(sonde_str_trim(text));
    bool is_global;

    if (c->is_global || !read_address(ip, &is_global) || (c->ip.len > 0 && !is_global))
        return;
    c->ip = ip;
    c->is_global = is_global;
}

/* -- Forwarded: for=1.2.3.4;proto=https, for="[::1]:80" ------------------------------------------- */

static bool is_token(sonde_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] == 0x7f || strchr("\"(),/:;<=>?@[\\]{}", s.ptr[i]))
            return false;
    return s.len > 0;
}

/* The value behind "name=", taken off the front with its quotes.  False: a syntax error. */
static bool take_value(sonde_str *rest, sonde_str *out)
{
    size_t n = 1;

    if (rest->len == 0 || rest->ptr[0] != '"') {
        while (n <= rest->len && rest->ptr[n - 1] != ',' && rest->ptr[n - 1] != ';')
            n++;
        *out = sonde_str_trim(sonde_str_sub(*rest, 0, n - 1));
        *rest = sonde_str_sub(*rest, n - 1, rest->len);
        return is_token(*out);
    }
    while (n < rest->len && rest->ptr[n] != '"')
        n += rest->ptr[n] == '\\' ? 2 : 1;
    if (n >= rest->len)
        return false;
    *out = sonde_str_sub(*rest, 1, n - 1);
    *rest = sonde_str_trim(sonde_str_sub(*rest, n + 1, rest->len));
    return true;
}

/* One "name=value" and what separates it from the next.  False: a syntax error. */
static bool take_pair(sonde_str *rest, sonde_str *out_name, sonde_str *out_value)
{
    const char *sign;

    *rest = sonde_str_trim(*rest);
    sign = (const char *)memchr(rest->ptr, '=', rest->len);
    if (!sign)
        return false;
    *out_name = sonde_str_sub(*rest, 0, (size_t)(sign - rest->ptr));
    *rest = sonde_str_sub(*rest, (size_t)(sign - rest->ptr) + 1, rest->len);
    if (!is_token(*out_name) || !take_value(rest, out_value))
        return false;
    if (rest->len > 0 && rest->ptr[0] != ',' && rest->ptr[0] != ';')
        return false;
    *rest = sonde_str_sub(*rest, 1, rest->len);
    return true;
}

static void look_forwarded(sonde__client_ip *c, sonde_str rest)
{
    sonde__client_ip found = *c;
    sonde_str name, value;

    rest = sonde_str_trim(rest);
    while (rest.len > 0) {
        if (!take_pair(&rest, &name, &value))
            return; /* all of it is discarded */
        if (sonde_str_eq_nocase(name, SONDE_STR("for")))
            note(&found, value);
    }
    *c = found;
}

void sonde__client_ip_look(sonde__client_ip *c, bool is_forwarded, sonde_str value)
{
    if (is_forwarded) {
        look_forwarded(c, value);
        return;
    }
    while (value.len > 0 && !c->is_global)
        note(c, sonde_str_cut(&value, ','));
}

sonde_str sonde__client_ip_choose(const sonde__client_ip *c, sonde_str peer)
{
    bool peer_is_global = false;

    peer = without_port(sonde_str_trim(peer));
    if (!read_address(peer, &peer_is_global))
        peer.len = 0;
    if (c->is_global || (c->ip.len > 0 && !peer_is_global))
        return c->ip;
    return peer;
}
