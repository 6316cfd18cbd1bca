/* yaml.h - a small strict subset of YAML, for the stable configuration files.
 *
 * Understood: one document of block maps and lists, flow maps and lists, plain and quoted scalars of one
 * line, comments.  Refused: anchors, aliases, tags, directives, block scalars, scalars over several lines,
 * complex keys, tabs as indentation, a key twice in a map.
 *
 * Threads   none: pure but for the arena.
 * Bounds    SONDE__YAML_DEPTH_MAX levels; SONDE__YAML_NODES_MAX nodes; the arena's ceiling. */
#ifndef SONDE_LIBTRACE_YAML_H
#define SONDE_LIBTRACE_YAML_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "sonde/status.h"

#define SONDE__YAML_DEPTH_MAX 16
#define SONDE__YAML_NODES_MAX 4096

typedef enum sonde__yaml_kind {
    SONDE__YAML_NULL, /* nothing, ~ or null */
    SONDE__YAML_SCALAR,
    SONDE__YAML_LIST,
    SONDE__YAML_MAP,
} sonde__yaml_kind;

typedef struct sonde__yaml {
    sonde__yaml_kind kind;
    sonde_str key;             /* in a map */
    sonde_str text;            /* of a scalar */
    struct sonde__yaml *child; /* the first, of a list or map */
    struct sonde__yaml *next;  /* beside this one */
} sonde__yaml;

/* The document's root, in the arena; its texts point into it or into `text`.  SONDE_ERR_SYNTAX,
 * SONDE_ERR_TOO_BIG (a bound), SONDE_ERR_NOMEM. */
SONDE_MUST_USE sonde_status sonde__yaml_parse(sonde_str text, sonde_arena *arena,
                                              sonde__yaml **out_root);

/* The member of a map; NULL when there is none. */
const sonde__yaml *sonde__yaml_get(const sonde__yaml *map, const char *key);

#endif /* SONDE_LIBTRACE_YAML_H */
