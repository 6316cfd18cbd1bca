/* base/folder.h - folders for state: made when they are not there, for their owner only.
 *
 * Threads   any. */
#ifndef SONDE_BASE_FOLDER_H
#define SONDE_BASE_FOLDER_H

#include "sonde/status.h"

#define SONDE_FOLDER_MAX 1024 /* bytes of a path */

/* Like mkdir -p, mode 0700: state holds what nobody else should read.  SONDE_ERR_CONFIG: no path, or too long; else
 * SONDE_ERR_SYS, and errno says why. */
SONDE_MUST_USE sonde_status sonde_folder_make(const char *path);

#endif /* SONDE_BASE_FOLDER_H */
