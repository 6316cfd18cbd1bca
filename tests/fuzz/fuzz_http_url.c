/* fuzz_http_url.c - a URL, then lists of addresses and statuses, one a line.
 *
 * Property: a URL is written within its bound, without user and password, and as it is when it has neither query nor
 * user; what is redacted once is redacted; endpoints are within their bound and endpoints of endpoints; addresses
 * that are found are parts of the header; no list of statuses reads beyond its end. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libtrace/src/client_ip.h"
#include "libtrace/src/http_url.h"
#include "libtrace/src/query_secrets.h"
#include "libtrace/src/statuses.h"

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_url(sonde_str text)
{
    static char once[SONDE__HTTP_URL_MAX_BYTES], twice[SONDE__HTTP_URL_MAX_BYTES];
    sonde__http_url url, again;
    uint32_t port;
    size_t len;

    sonde__http_url_split(text, &url);
    must(url.host.len == 0 || !memchr(url.host.ptr, '@', url.host.len));
    must(sonde__http_host(&url, &port).len <= url.host.len && port <= UINT16_MAX);
    len = sonde__http_url_write(&url, (sonde__query_rule){ SONDE__QUERY_LEFT_OUT, NULL }, once);
    must(len <= sizeof(once));
    if (len == sizeof(once) || url.host.len == 0)
        return;
    sonde__http_url_split((sonde_str){ once, len }, &again);
    must(sonde__http_url_write(&again, (sonde__query_rule){ SONDE__QUERY_AS_IT_IS, NULL }, twice) ==
         len);
    must(memcmp(once, twice, len) == 0);
}

static void check_query(sonde_str query)
{
    static char once[65536];
    size_t len = sonde__query_redact(query, once, sizeof(once));
    char little[7];

    must(len <= sizeof(once));
    must(sonde__query_redact(query, little, sizeof(little)) == (len < 7 ? len : 7));
    must(memcmp(once, little, len < 7 ? len : 7) == 0);
}

static void check_endpoint(sonde_str path)
{
    char once[SONDE__ENDPOINT_MAX_BYTES], twice[SONDE__ENDPOINT_MAX_BYTES];
    size_t len = sonde__http_endpoint(path, once);
    size_t again;

    must(len > 0 && len <= sizeof(once) && once[0] == '/');
    again = sonde__http_endpoint((sonde_str){ once, len }, twice);
    must(again > 0 && again <= sizeof(twice));
}

static void check_ip(sonde_str value, sonde_str peer)
{
    sonde__client_ip found = { .is_global = false };
    sonde_str chosen;

    sonde__client_ip_look(&found, peer.len % 2, value);
    must(found.ip.len <= SONDE__IP_MAX_BYTES);
    must(found.ip.len == 0 ||
         (found.ip.ptr >= value.ptr && found.ip.ptr + found.ip.len <= value.ptr + value.len));
    chosen = sonde__client_ip_choose(&found, peer);
    must(chosen.len <= SONDE__IP_MAX_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str rest = { (const char *)data, size };
    sonde_str url = sonde_str_cut(&rest, '\n');
    sonde_str ips = sonde_str_cut(&rest, '\n');
    sonde_str statuses = sonde_str_cut(&rest, '\n');

    check_url(url);
    check_query(url);
    check_endpoint(url);
    check_ip(ips, rest);
    if (sonde__statuses_valid(statuses))
        (void)sonde__statuses_have(statuses, 500);
    return 0;
}
