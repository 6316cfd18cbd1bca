/* guard.c - keeps foreign web pages out of a store on this machine.
 *
 * A page whose name was made to resolve to 127.0.0.1 (DNS rebinding) sends its own name as Host: the
 * UI and the query API answer only to names that cannot be rebound: addresses, localhost, and the
 * name they were told to listen on.  A page elsewhere that posts to us says so in Origin, which no
 * agent sends: it must name us.  Intake routes ignore Host, since agents come by any name. */
#include <arpa/inet.h>
#include <string.h>

#include "internal.h"

/* "name:port", "[::1]:port", "name" without the port and the brackets. */
static sonde_str host_name(sonde_str host)
{
    size_t i;

    if (host.len && host.ptr[0] == '[') {
        sonde_str rest = sonde_str_sub(host, 1, host.len);

        return sonde_str_cut(&rest, ']');
    }
    for (i = host.len; i-- > 0 && host.ptr[i] != ']';)
        if (host.ptr[i] == ':')
            return sonde_str_sub(host, 0, i);
    return host;
}

static bool is_address(sonde_str name)
{
    char text[64];
    unsigned char address[16];

    if (name.len >= sizeof(text))
        return false;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static bool is_our_name(const intake_main *m, sonde_str host)
{
    sonde_str name = host_name(host);

    return name.len > 0 && (is_address(name) || sonde_str_eq_nocase(name, SONDE_STR("localhost")) ||
                            sonde_str_eq_nocase(name, sonde_str_from(m->host)));
}

/* Origin is "http://" and exactly what the browser put into Host. */
static bool is_our_origin(sonde_str origin, sonde_str host)
{
    if (sonde_str_starts(origin, SONDE_STR("http://")))
        origin = sonde_str_sub(origin, 7, origin.len);
    else if (sonde_str_starts(origin, SONDE_STR("https://")))
        origin = sonde_str_sub(origin, 8, origin.len);
    else
        return false;
    return sonde_str_eq_nocase(origin, host);
}

static bool is_intake_get(sonde_str path)
{
    return sonde_str_eq(path, SONDE_STR("/api/v1/validate")) ||
           sonde_str_eq(path, SONDE_STR("/support/flare"));
}

http_result main_guard(void *user, http_request *request, http_response *response)
{
    const intake_main *m = (const intake_main *)user;
    sonde_str host = http_request_header(request, "Host");
    sonde_str origin = http_request_header(request, "Origin");
    sonde_str path = http_request_path(request);
    bool query = api_is_query(http_request_method(request), path) && !is_intake_get(path);

    if (query && !is_our_name(m, host))
        api_error(response, 403, "Host: not a name of this server (use its address or localhost)");
    else if (origin.len && !is_our_origin(origin, host))
        api_error(response, 403, "Origin: requests from other sites are refused");
    return HTTP_DONE;
}
