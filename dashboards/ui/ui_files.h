/* dashboards/ui/ui_files.h - the files of the web UI, as they are inside the program.
 *
 * The table is made at build time by sonde_embed_files() (cmake/SondeEmbedFiles.cmake) and sorted by
 * path.  `data` is gzip-compressed when `gzip` is 1 (only where that saves a tenth or more).
 *
 * Threads   all: constant data.
 */
#ifndef SONDE_DASHBOARDS_UI_UI_FILES_H
#define SONDE_DASHBOARDS_UI_UI_FILES_H

#include <stddef.h>
#include <stdint.h>

typedef struct ui_file {
    const char *path;         /* "/index.html" */
    const char *content_type; /* "text/html; charset=utf-8" */
    const char *etag;         /* with its quotes, changes with the content */
    const uint8_t *data;
    size_t len;
    int gzip; /* 1: data is gzip */
} ui_file;

extern const ui_file ui_files[];
extern const size_t ui_files_len;

#endif /* SONDE_DASHBOARDS_UI_UI_FILES_H */
