/* zip.h - a ZIP archive of a few files, stored as they are: no compressor enters the host process.
 *
 * Threads   none.
 * Bounds    SONDE__ZIP_FILES_MAX files, the ceiling of the buffer; look at out->status.
 * Source    PKWARE APPNOTE 6.3, local and central headers, no ZIP64 */
#ifndef SONDE_LIBTRACE_ZIP_H
#define SONDE_LIBTRACE_ZIP_H

#include <stdint.h>

#include "base/buf.h"

#define SONDE__ZIP_FILES_MAX 8

typedef struct sonde__zip_file {
    const char *name; /* borrowed */
    uint32_t at;      /* its local header */
    uint32_t crc;
    uint32_t len;
} sonde__zip_file;

typedef struct sonde__zip {
    sonde_buf *out; /* borrowed; empty at the beginning; its ceiling below 4 GiB */
    sonde__zip_file file[SONDE__ZIP_FILES_MAX];
    unsigned len;
} sonde__zip;

void sonde__zip_begin(sonde__zip *z, sonde_buf *out);
void sonde__zip_add(sonde__zip *z, const char *name,
                    sonde_str content); /* beyond the ceiling: nothing */
void sonde__zip_end(sonde__zip *z);

#endif /* SONDE_LIBTRACE_ZIP_H */
