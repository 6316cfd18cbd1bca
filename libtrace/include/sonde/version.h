/* sonde/version.h - which libtrace this is.
 *
 * Threads   the function is pure; callable from anywhere, signal handlers included.
 */
#ifndef SONDE_VERSION_H
#define SONDE_VERSION_H

#include "sonde/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The headers a program was compiled with. */
#define SONDE_VERSION_MAJOR 0
#define SONDE_VERSION_MINOR 1
#define SONDE_VERSION_PATCH 0

/* The library it runs with, "0.1.0".  Static storage, never NULL. */
SONDE_API const char *sonde_version(void);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_VERSION_H */
