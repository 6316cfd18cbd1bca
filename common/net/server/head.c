/* head.c - what a handler may ask a request. */
#include <string.h>

#include <microhttpd.h>

#include "net/server/internal.h"
#include "net/socket.h"

sonde_str http_request_method(const http_request *r)
{
    return r->method;
}

sonde_str http_request_path(const http_request *r)
{
    return r->path;
}

sonde_str http_request_header(const http_request *r, const char *name)
{
    sonde_str value = { NULL, 0 };

    if (MHD_lookup_connection_value_n(r->connection, MHD_HEADER_KIND, name, strlen(name),
                                      &value.ptr, &value.len) != MHD_YES)
        return (sonde_str){ NULL, 0 };
    return value;
}

bool http_request_query(const http_request *r, const char *key, sonde_str *out_value)
{
    sonde_str value = { NULL, 0 };

    if (MHD_lookup_connection_value_n(r->connection, MHD_GET_ARGUMENT_KIND, key, strlen(key),
                                      &value.ptr, &value.len) != MHD_YES)
        return false;
    *out_value = value;
    return true;
}

sonde_str http_request_query_text(const http_request *r)
{
    return sonde_str_from(r->conn->query);
}

typedef struct header_visit {
    http_header_fn each;
    void *user;
} header_visit;

static enum MHD_Result visit_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                    size_t name_len, const char *value, size_t value_len)
{
    const header_visit *visit = cls;

    (void)kind;
    visit->each(visit->user, (sonde_str){ name, name_len }, (sonde_str){ value, value_len });
    return MHD_YES;
}

void http_request_each_header(const http_request *r, http_header_fn each, void *user)
{
    header_visit visit = { each, user };

    (void)MHD_get_connection_values_n(r->connection, MHD_HEADER_KIND, visit_header, &visit);
}

sonde_str http_request_body(const http_request *r)
{
    return (sonde_str){ (const char *)r->body.data, r->body.len };
}

uint64_t http_request_body_bytes(const http_request *r)
{
    return r->declared_bytes > r->received_bytes ? r->declared_bytes : r->received_bytes;
}

bool http_request_is_unix(const http_request *r)
{
    return r->conn->on->is_unix;
}

bool http_request_is_local(const http_request *r)
{
    return r->conn->on->is_unix || sonde_peer_is_loopback(r->conn->watch.fd);
}

pid_t http_request_peer_pid(const http_request *r)
{
    return r->conn->on->is_unix ? sonde_peer_pid(r->conn->watch.fd) : 0;
}

sonde_status http_request_body_status(const http_request *r)
{
    return r->body_status;
}
