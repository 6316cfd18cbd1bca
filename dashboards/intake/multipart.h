/* dashboards/intake/multipart.h - the parts of a multipart/form-data body, as views into it.
 *
 *     multipart m;
 *     multipart_part part;
 *     if (multipart_open(&m, content_type, body) == SONDE_OK)
 *         while (multipart_next(&m, &part)) ...
 *     m.status
 *
 * Strict where parts are told apart: every delimiter stands alone in a line that CRLF ends, and the last
 * one closes.  Tolerant in their heads: any order and case, names quoted or not, lines that end in LF.
 *
 * Threads   none.
 * Failure   SONDE_ERR_INVALID: not multipart; SONDE_ERR_SYNTAX; SONDE_ERR_EOF: not closed;
 *           SONDE_ERR_TOO_BIG: more than MULTIPART_PARTS_MAX parts, or a head above its ceiling.
 * Source    RFC 2046 5.1, RFC 7578.
 */
#ifndef SONDE_DASHBOARDS_INTAKE_MULTIPART_H
#define SONDE_DASHBOARDS_INTAKE_MULTIPART_H

#include "base/str.h"
#include "sonde/status.h"

#define MULTIPART_PARTS_MAX      64
#define MULTIPART_HEAD_MAX_BYTES 8192
#define MULTIPART_BOUNDARY_MAX   70

typedef struct multipart {
    char mark[MULTIPART_BOUNDARY_MAX + 4]; /* CRLF "--" boundary */
    size_t mark_len;
    sonde_str left; /* behind the delimiter of the next part */
    size_t parts;
    sonde_status status;
} multipart;

typedef struct multipart_part {
    sonde_str name;
    sonde_str filename; /* empty: none */
    sonde_str content_type;
    sonde_str body;
} multipart_part;

SONDE_MUST_USE sonde_status multipart_open(multipart *m, sonde_str content_type, sonde_str body);
bool multipart_next(multipart *m, multipart_part *out); /* false: the end, or m->status */

#endif /* SONDE_DASHBOARDS_INTAKE_MULTIPART_H */
