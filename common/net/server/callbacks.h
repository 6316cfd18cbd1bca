/* net/server/callbacks.h - what request.c gives libmicrohttpd to call; `cls` is the http_listening. */
#ifndef SONDE_NET_SERVER_CALLBACKS_H
#define SONDE_NET_SERVER_CALLBACKS_H

#include <microhttpd.h>

/* The head is complete (*req_cls NULL), a piece of the body came, or all of it has come. */
enum MHD_Result request_on_access(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload_data,
                                  size_t *upload_data_size, void **req_cls);

/* The request line has been read. */
void *request_on_line(void *cls, const char *uri, struct MHD_Connection *connection);

/* The answer was sent, or the connection ended before that; the head can still be asked. */
void request_on_completed(void *cls, struct MHD_Connection *connection, void **req_cls,
                          enum MHD_RequestTerminationCode why);

#endif /* SONDE_NET_SERVER_CALLBACKS_H */
