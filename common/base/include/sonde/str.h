/* sonde/str.h - a view of text: pointer and length, not NUL-terminated.
 *
 * Used by carrier callbacks and the pointer + length variants of the API, so that text inside other
 * libraries' buffers needs no copy.  A view does not own what it points to. */
#ifndef SONDE_STR_H
#define SONDE_STR_H

#include <stddef.h>

typedef struct sonde_str {
    const char *ptr; /* NULL only when len is 0 */
    size_t len;      /* bytes */
} sonde_str;

#ifdef __cplusplus
#    define SONDE_STR(literal) (sonde_str{ (literal), sizeof(literal) - 1 })
#else
#    define SONDE_STR(literal) ((sonde_str){ (literal), sizeof(literal) - 1 })
#endif
#define SONDE_STR_ARG(s) (int)(s).len, (s).ptr /* for "%.*s" */

#endif /* SONDE_STR_H */
