/* call.h - one request of the driver, and its answer.
 *
 * An endpoint reads fields of `body` and writes members into `out`, inside the object that is the answer.
 * A field that is missing, null or "" (what a driver that knows no null sends) is not given.
 *
 * Threads   one: the server has a single thread, and with it the tracer one active place. */
#ifndef SONDE_PARAMETRIC_CALL_H
#define SONDE_PARAMETRIC_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "codec/json_write.h"
#include "sonde/sonde.h"

#include "json_tree.h"

typedef struct call {
    sonde_arena arena; /* of the request */
    const json_node *body;
    sonde_json_writer *out;
    unsigned status; /* of HTTP */
    const char *error;
} call;

typedef void (*endpoint)(call *c);

/* The answer becomes {"error": why}; `why` is static. */
void call_fail(call *c, unsigned status, const char *why);

/* Texts of the request, NUL-terminated; NULL: not given. */
const char *call_text(call *c, const char *name);

/* The same where it has to be there; NULL: the call has failed. */
const char *call_needs_text(call *c, const char *name);

bool call_id(call *c, const char *name, uint64_t *out);      /* false: not given, or 0 */
int64_t call_i64(const json_node *object, const char *name); /* 0: not given */

/* Members of an object as attributes, in the request's arena; nulls are left out. */
uint32_t call_attributes(call *c, const json_node *object, sonde_attribute **out);

#endif /* SONDE_PARAMETRIC_CALL_H */
