/* egress.c - who goes through a proxy. */
#include "net/egress.h"

#include <string.h>

#include <arpa/inet.h>

#include "base/parse.h"
#include "net/url.h"

#define ADDRESS_MAX 64

typedef struct target {
    sonde_str host; /* without the dot of a full name */
    uint16_t port;
    bool port_is_default;
} target;

/* ---- addresses ---- */

typedef struct address {
    uint8_t bytes[16];
    unsigned len; /* 4 or 16 */
} address;

static bool parse_address(sonde_str text, address *out)
{
    char copy[ADDRESS_MAX];

    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    out->len = 4;
    if (inet_pton(AF_INET, copy, out->bytes) == 1)
        return true;
    out->len = 16;
    return inet_pton(AF_INET6, copy, out->bytes) == 1;
}

static bool is_loopback(sonde_str host)
{
    static const uint8_t loopback6[16] = { [15] = 1 };
    address a;

    if (sonde_str_eq_nocase(host, SONDE_STR("localhost")))
        return true;
    if (!parse_address(host, &a))
        return false;
    return a.len == 4 ? a.bytes[0] == 127 : memcmp(a.bytes, loopback6, 16) == 0;
}

static bool in_range(const address *a, const address *net, uint64_t bits)
{
    unsigned whole = (unsigned)bits / 8, rest = (unsigned)bits % 8;
    uint8_t mask = (uint8_t)(0xff00u >> rest);

    if (a->len != net->len || bits > 8 * a->len || memcmp(a->bytes, net->bytes, whole) != 0)
        return false;
    return rest == 0 || ((a->bytes[whole] ^ net->bytes[whole]) & mask) == 0;
}

static bool range_has(sonde_str item, sonde_str host)
{
    sonde_str text = sonde_str_cut(&item, '/'); /* item: what follows */
    address a, net;
    uint64_t bits;

    return parse_address(text, &net) && sonde_parse_u64(item, &bits) == SONDE_OK &&
           parse_address(host, &a) && in_range(&a, &net, bits);
}

/* ---- items ---- */

/* Cuts ":port" off; false when there is one and it is another. */
static bool cut_port(sonde_str *item, const target *t, bool *out_has_port)
{
    size_t colon = item->len;
    uint64_t port;

    while (colon > 0 && item->ptr[colon - 1] >= '0' && item->ptr[colon - 1] <= '9')
        colon--;
    *out_has_port = colon > 1 && colon < item->len && item->ptr[colon - 1] == ':' &&
                    (item->ptr[0] == '[' ? item->ptr[colon - 2] == ']'
                                         : memchr(item->ptr, ':', colon - 1) == NULL);
    if (!*out_has_port)
        return true;
    if (sonde_parse_u64(sonde_str_sub(*item, colon, item->len), &port) != SONDE_OK)
        return false;
    *item = sonde_str_sub(*item, 0, colon - 1);
    return port == t->port;
}

static sonde_str without_brackets(sonde_str s)
{
    return s.len > 1 && s.ptr[0] == '[' && s.ptr[s.len - 1] == ']' ? sonde_str_sub(s, 1, s.len - 2)
                                                                   : s;
}

static bool matches_exactly(sonde_str item, const target *t)
{
    bool has_port;

    return cut_port(&item, t, &has_port) && (has_port || t->port_is_default) &&
           sonde_str_eq_nocase(without_brackets(item), t->host);
}

static bool matches_loosely(sonde_str item, const target *t)
{
    bool below_only, has_port;
    sonde_str tail;

    if (sonde_str_eq(item, SONDE_STR("*")) || range_has(item, t->host))
        return true;
    if (!cut_port(&item, t, &has_port))
        return false;
    if (sonde_str_starts(item, SONDE_STR("*.")))
        item = sonde_str_sub(item, 1, item.len);
    below_only = sonde_str_starts(item, SONDE_STR("."));
    if (below_only)
        item = sonde_str_sub(item, 1, item.len);
    item = without_brackets(item);
    if (item.len == 0)
        return false;
    if (!below_only && sonde_str_eq_nocase(item, t->host))
        return true;
    if (t->host.len <= item.len + 1)
        return false;
    tail = sonde_str_sub(t->host, t->host.len - item.len, item.len);
    return t->host.ptr[t->host.len - item.len - 1] == '.' && sonde_str_eq_nocase(item, tail);
}

static bool needs_none(const sonde_egress *e, const target *t)
{
    sonde_str list = e->no_proxy;

    while (list.len) {
        sonde_str words = sonde_str_cut(&list, ',');

        while (words.len) {
            sonde_str item = sonde_str_trim(sonde_str_cut(&words, ' '));

            if (item.len &&
                (e->no_proxy_nonexact ? matches_loosely(item, t) : matches_exactly(item, t)))
                return true;
        }
    }
    return false;
}

sonde_str sonde_egress_proxy(const sonde_egress *e, const char *url)
{
    static const sonde_str none = { "", 0 };
    size_t scheme = strcspn(url, ":");
    size_t len = scheme + strspn(url + scheme, ":/");
    sonde_url parsed;
    sonde_str proxy;
    target t;

    len += strcspn(url + len, "/?#"); /* what follows the host does not matter, and may be long */
    if (sonde_url_parse((sonde_str){ url, len }, &parsed, NULL) != SONDE_OK ||
        parsed.scheme == SONDE_URL_UNIX)
        return none;
    proxy = parsed.scheme == SONDE_URL_HTTPS ? e->proxy_https : e->proxy_http;
    t = (target){ sonde_str_from(parsed.host), parsed.port,
                  parsed.port == (parsed.scheme == SONDE_URL_HTTPS ? 443 : 80) };
    if (sonde_str_ends(t.host, SONDE_STR(".")))
        t.host.len--;
    return proxy.len == 0 || is_loopback(t.host) || needs_none(e, &t) ? none : proxy;
}

sonde_status sonde_tls_version_parse(sonde_str text, sonde_tls_version *out)
{
    static const sonde_str names[] = {
        [SONDE_TLS_1_0] = { "tlsv1.0", 7 },
        [SONDE_TLS_1_1] = { "tlsv1.1", 7 },
        [SONDE_TLS_1_2] = { "tlsv1.2", 7 },
        [SONDE_TLS_1_3] = { "tlsv1.3", 7 },
    };
    int i;

    for (i = SONDE_TLS_1_0; i <= SONDE_TLS_1_3; i++) {
        if (sonde_str_eq_nocase(text, names[i])) {
            *out = (sonde_tls_version)i;
            return SONDE_OK;
        }
    }
    return SONDE_ERR_SYNTAX;
}
