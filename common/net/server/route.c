/* route.c - finds the row of the route table for a request. */
#include <string.h>

#include "base/str.h"
#include "net/server/internal.h"

static bool is_prefix_route(const http_route *route)
{
    return sonde_str_ends(sonde_str_from(route->path), SONDE_STR("*"));
}

static bool path_matches(const http_route *route, sonde_str path)
{
    sonde_str pattern = sonde_str_from(route->path);

    if (!is_prefix_route(route))
        return sonde_str_eq(pattern, path);
    pattern.len--;
    return sonde_str_starts(path, pattern);
}

/* HEAD is a GET without the body. */
static bool method_matches(const http_route *route, sonde_str method)
{
    sonde_str list = sonde_str_from(route->methods);
    bool is_head = sonde_str_eq(method, SONDE_STR("HEAD"));

    if (!route->methods)
        return true;
    while (list.len) {
        sonde_str word = sonde_str_trim(sonde_str_cut(&list, ','));

        if (sonde_str_eq(word, method) || (is_head && sonde_str_eq(word, SONDE_STR("GET"))))
            return true;
    }
    return false;
}

route_match route_find(const http_route *routes, size_t len, sonde_str method, sonde_str path,
                       const http_route **out_route)
{
    bool known_path = false;
    int prefixes;
    size_t i;

    for (prefixes = 0; prefixes <= 1; prefixes++) {
        for (i = 0; i < len; i++) {
            if (is_prefix_route(&routes[i]) != (prefixes == 1) || !path_matches(&routes[i], path))
                continue;
            known_path = true;
            if (method_matches(&routes[i], method)) {
                *out_route = &routes[i];
                return ROUTE_FOUND;
            }
        }
    }
    return known_path ? ROUTE_OTHER_METHOD : ROUTE_NONE;
}

void route_allow(const http_route *routes, size_t len, sonde_str path, http_response *response)
{
    char allow[sizeof(response->headers[0].value)];
    size_t used = 0, i;

    for (i = 0; i < len; i++) {
        size_t n = routes[i].methods ? strlen(routes[i].methods) : 0;

        if (!n || !path_matches(&routes[i], path) || used + n + 2 > sizeof(allow))
            continue;
        if (used)
            allow[used++] = ',';
        memcpy(allow + used, routes[i].methods, n);
        used += n;
    }
    allow[used] = '\0';
    http_response_header(response, "Allow", allow);
}
