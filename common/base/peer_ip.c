/* peer_ip.c - finds addresses in host names and blanks them out.
 *
 * An entry is taken apart into  prefix  address  :port  suffix  and put together again with the
 * address replaced.
 */
#include "base/peer_ip.h"

#include <arpa/inet.h>
#include <stdbool.h>

#define BLOCKED     SONDE_STR("blocked-ip-address")
#define ENTRIES_MAX 64 /* of one list; what follows is taken as one entry */

typedef struct ip_entry {
    bool blocked; /* false: `whole` stays */
    sonde_str whole;
    sonde_str prefix;
    sonde_str port;
    sonde_str suffix;
} ip_entry;

/* "ip-" in front, or a scheme anywhere: the prefix, and what follows it in *rest. */
static sonde_str split_prefix(sonde_str s, sonde_str *rest)
{
    static const sonde_str schemes[] = {
        { "dnspoll:///", 11 }, { "dnspoll://", 10 }, { "ftp:///", 7 },  { "ftp://", 6 },
        { "file:///", 8 },     { "file://", 7 },     { "http:///", 8 }, { "http://", 7 },
        { "https:///", 9 },    { "https://", 8 },
    };
    size_t i, at;

    *rest = s;
    if (sonde_str_starts(s, SONDE_STR("ip-"))) {
        *rest = sonde_str_sub(s, 3, s.len);
        return sonde_str_sub(s, 0, 3);
    }
    if (!sonde_str_find(s, SONDE_STR("://"), &at))
        return sonde_str_sub(s, 0, 0);
    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (!sonde_str_find(s, schemes[i], &at))
            continue;
        *rest = sonde_str_sub(s, at + schemes[i].len, s.len);
        return sonde_str_sub(s, at, schemes[i].len);
    }
    return sonde_str_sub(s, 0, 0);
}

/* "[host]:port", "host:port" with one colon outside the brackets; else the whole is the host. */
static sonde_str split_port(sonde_str s, sonde_str *port)
{
    size_t at;
    sonde_str rest;

    *port = sonde_str_sub(s, s.len, 0);
    if (s.len && s.ptr[0] == '[') {
        if (!sonde_str_find(s, SONDE_STR("]"), &at))
            return s;
        rest = sonde_str_sub(s, at + 1, s.len);
        if (!sonde_str_starts(rest, SONDE_STR(":")) || memchr(rest.ptr + 1, ':', rest.len - 1))
            return s;
        *port = sonde_str_sub(rest, 1, rest.len);
        return sonde_str_sub(s, 1, at - 1);
    }
    if (!sonde_str_find(s, SONDE_STR(":"), &at))
        return s;
    rest = sonde_str_sub(s, at + 1, s.len);
    if (sonde_str_find(rest, SONDE_STR(":"), &at))
        return s;
    *port = rest;
    return sonde_str_sub(s, 0, (size_t)(rest.ptr - s.ptr) - 1);
}

/* Length of an octet without leading zeros at the start of `s`; 0: none. */
static size_t octet_len(sonde_str s)
{
    unsigned v = 0;
    size_t n = 0;

    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9') {
        if (n == 3 || (n == 1 && s.ptr[0] == '0'))
            return 0;
        v = v * 10 + (unsigned)(s.ptr[n++] - '0');
    }
    return v <= 255 ? n : 0;
}

/* Length of four octets with one separator at the start of `s`; 0: none. */
static size_t ipv4_len(sonde_str s)
{
    size_t i, n, at = 0;
    char separator = 0;

    for (i = 0; i < 4; i++) {
        if (i > 0) {
            if (at >= s.len || (s.ptr[at] != '.' && s.ptr[at] != '-' && s.ptr[at] != '_'))
                return 0;
            if (i > 1 && s.ptr[at] != separator)
                return 0;
            separator = s.ptr[at++];
        }
        n = octet_len(sonde_str_sub(s, at, s.len));
        if (!n)
            return 0;
        at += n;
    }
    return at;
}

static bool is_ipv6(sonde_str s)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    sonde_str address = sonde_str_cut(&s, '%'); /* without the zone */

    if (address.len >= sizeof(text) || !memchr(address.ptr, ':', address.len))
        return false;
    memcpy(text, address.ptr, address.len);
    text[address.len] = '\0';
    return inet_pton(AF_INET6, text, bytes) == 1;
}

/* Addresses every host has, or every cloud: no reason to hide them. */
static bool is_well_known(sonde_str host)
{
    static const sonde_str known[] = {
        { "127.0.0.1", 9 },      { "::1", 3 }, { "169.254.169.254", 15 }, { "fd00:ec2::254", 13 },
        { "169.254.170.2", 13 },
    };
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (sonde_str_eq(host, known[i]))
            return true;
    return false;
}

static ip_entry parse_entry(sonde_str whole)
{
    ip_entry e = { .whole = whole };
    sonde_str rest, host;
    size_t len;

    e.prefix = split_prefix(whole, &rest);
    host = split_port(rest, &e.port);
    len = ipv4_len(host);
    if (!len && host.len && is_ipv6(host))
        len = host.len;
    e.blocked = len && !is_well_known(sonde_str_sub(host, 0, len));
    e.suffix = sonde_str_sub(host, len, host.len);
    return e;
}

static bool same(const ip_entry *a, const ip_entry *b)
{
    if (a->blocked != b->blocked)
        return false;
    if (!a->blocked)
        return sonde_str_eq(a->whole, b->whole);
    return sonde_str_eq(a->prefix, b->prefix) && sonde_str_eq(a->port, b->port) &&
           sonde_str_eq(a->suffix, b->suffix);
}

static char *put(char *at, sonde_str s)
{
    if (s.len)
        memcpy(at, s.ptr, s.len);
    return at + s.len;
}

static char *put_entry(char *at, const ip_entry *e)
{
    if (!e->blocked)
        return put(at, e->whole);
    at = put(at, e->prefix);
    at = put(at, BLOCKED);
    if (e->port.len) {
        at = put(at, SONDE_STR(":"));
        at = put(at, e->port);
    }
    return put(at, e->suffix);
}

static bool may_hold_address(sonde_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++)
        if ((s.ptr[i] >= '0' && s.ptr[i] <= '9') || s.ptr[i] == ':' || s.ptr[i] == ',')
            return true;
    return false;
}

typedef struct ip_list {
    ip_entry entries[ENTRIES_MAX];
    size_t len;
    bool changed; /* something was blanked or merged */
} ip_list;

static void add_entry(ip_list *l, ip_entry e)
{
    size_t i;

    l->changed |= e.blocked;
    for (i = 0; i < l->len; i++)
        if (same(&l->entries[i], &e)) {
            l->changed = true;
            return;
        }
    l->entries[l->len++] = e;
}

static void split_list(sonde_str in, ip_list *l)
{
    size_t at = 0, comma;

    l->len = 0;
    l->changed = false;
    while (l->len + 1 < ENTRIES_MAX &&
           sonde_str_find(sonde_str_sub(in, at, in.len), SONDE_STR(","), &comma)) {
        add_entry(l, parse_entry(sonde_str_sub(in, at, comma)));
        at += comma + 1;
    }
    add_entry(l, parse_entry(sonde_str_sub(in, at, in.len)));
}

sonde_status sonde_peer_ip_blank(sonde_arena *arena, sonde_str in, sonde_str *out)
{
    ip_list l;
    size_t i;
    char *text, *at;

    l.changed = false;
    if (may_hold_address(in))
        split_list(in, &l);
    if (!l.changed) {
        *out = in;
        return SONDE_OK;
    }

    /* What replaces an address is longer by less than its own length. */
    text = sonde_arena_alloc_aligned(arena, in.len + l.len * (BLOCKED.len + 1), 1);
    if (!text)
        return SONDE_ERR_NOMEM;
    for (at = text, i = 0; i < l.len; i++) {
        if (i)
            *at++ = ',';
        at = put_entry(at, &l.entries[i]);
    }
    *out = (sonde_str){ text, (size_t)(at - text) };
    return SONDE_OK;
}
