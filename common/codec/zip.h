/* codec/zip.h - a ZIP archive of a few files, stored as they are: no compressor enters the host process.
 *
 * Threads   none.
 * Bounds    SONDE_ZIP_FILES_MAX files, the ceiling of the buffer; look at out->status.
 * Source    PKWARE APPNOTE 6.3, local and central headers, no ZIP64 */
#ifndef SONDE_CODEC_ZIP_H
#define SONDE_CODEC_ZIP_H

#include <stdint.h>

#include "base/buf.h"

#define SONDE_ZIP_FILES_MAX 16

typedef struct sonde_zip_file {
    const char *name; /* borrowed */
    uint32_t at;      /* its local header */
    uint32_t crc;
    uint32_t len;
} sonde_zip_file;

typedef struct sonde_zip {
    sonde_buf *out; /* borrowed; empty at the beginning; its ceiling below 4 GiB */
    sonde_zip_file file[SONDE_ZIP_FILES_MAX];
    unsigned len;
} sonde_zip;

void sonde_zip_begin(sonde_zip *z, sonde_buf *out);
void sonde_zip_add(sonde_zip *z, const char *name,
                   sonde_str content); /* beyond the ceiling: nothing */
void sonde_zip_end(sonde_zip *z);

#endif /* SONDE_CODEC_ZIP_H */
