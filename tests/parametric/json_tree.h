/* json_tree.h - a JSON text as a tree in an arena; whole numbers keep all their digits.
 *
 * Threads   none: a tree belongs to its request.
 * Bounds    the arena's ceiling, and the depth of codec/json_read.h. */
#ifndef SONDE_PARAMETRIC_JSON_TREE_H
#define SONDE_PARAMETRIC_JSON_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "sonde/status.h"
#include "sonde/value.h"

typedef enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
} json_kind;

typedef struct json_node {
    json_kind kind;
    uint32_t len;   /* members of an object, items of an array */
    sonde_str key;  /* of a member */
    sonde_str text; /* of a string, decoded; of a number, as written */
    double number;
    struct json_node *first; /* members or items */
    struct json_node *next;  /* of the same object or array */
} json_node;

/* SONDE_ERR_SYNTAX and the like, SONDE_ERR_NOMEM; `out_why` is static text then. */
SONDE_MUST_USE sonde_status json_tree_parse(sonde_arena *a, sonde_str text, json_node **out_root,
                                            const char **out_why);

/* The member of that name, the last one of several; NULL: there is none, or it is null. */
const json_node *json_member(const json_node *object, const char *name);

/* A number or a text: 42, "42", "0x2a".  False: neither, or beyond 64 bits. */
bool json_id(const json_node *node, uint64_t *out);

/* As the tracer takes it.  A null, an object and a whole number beyond 63 bits have no type. */
sonde_value json_value(sonde_arena *a, const json_node *node);

#endif /* SONDE_PARAMETRIC_JSON_TREE_H */
