/* prelude.h - what the fragments of the guide use and do not show: a program's own functions. */
#ifndef SONDE_GUIDE_PRELUDE_H
#define SONDE_GUIDE_PRELUDE_H

#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include <sonde/sonde.h>

struct request;
struct job;
struct connection;

void queue_push(struct job *job);
void parse_input(struct connection *c);
void answer(struct request *in);
void request_send(struct request *out);
void request_set_header(void *request, const char *name, size_t name_len, const char *value,
                        size_t value_len);
const char *request_header(void *request, const char *name, size_t name_len);

void request_each_header(void *request, sonde_visitor visit, void *visitor_user);

#endif /* SONDE_GUIDE_PRELUDE_H */
