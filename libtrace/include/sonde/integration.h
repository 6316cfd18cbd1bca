/* sonde/integration.h - code that makes spans of a library says that it is there.
 *
 *   sonde_integration me = { .name = "libcurl", .version = curl_version_info(CURLVERSION_NOW)->version, .enabled = 1 };
 *
 *   sonde_integration_report(&me);
 *
 * It is told to the agent with the library's telemetry (docs/spec/telemetry.md), and nothing else becomes of
 * it.  It may be said before sonde_start() and holds for the life of the process.
 *
 * Threads   all; takes no lock, allocates nothing.  Not in signal handlers.
 * Fork      the child tells it as well.
 */
#ifndef SONDE_INTEGRATION_H
#define SONDE_INTEGRATION_H

#include <stdint.h>

#include "sonde/export.h"
#include "sonde/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Texts are copied, cut between characters.  Zero-initialise what is not known. */
typedef struct sonde_integration {
    uint32_t struct_bytes; /* sizeof(sonde_integration); 0: all fields of this header */
    int32_t enabled;       /* 1: it makes spans; 0: it is switched off */
    int32_t automatic;     /* 1: put in place without a line of the program */
    int32_t incompatible;  /* 1: not with this version of the library */
    const char *name;      /* of the library, at most 63 bytes; neither NULL nor empty */
    const char *version;   /* of the library, at most 31 bytes; NULL: not known */
    const char *error;     /* why it does not work, at most 127 bytes; NULL: it does */
} sonde_integration;

/* Says it.  What is said later of the same name takes the place of what was said before; the same once more
 * changes nothing.
 *
 * Returns   SONDE_OK; SONDE_ERR_INVALID when `what` or its name is NULL or empty; SONDE_ERR_FULL beyond 64
 *           (counter telemetry_dropped). */
SONDE_API sonde_status sonde_integration_report(const sonde_integration *what);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_INTEGRATION_H */
