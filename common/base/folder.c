/* folder.c - one part of a path after the other. */
#include "base/folder.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

sonde_status sonde_folder_make(const char *path)
{
    char part[SONDE_FOLDER_MAX];
    size_t i, len = strlen(path);

    if (len == 0 || len >= sizeof(part))
        return SONDE_ERR_CONFIG;
    for (i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return SONDE_ERR_SYS;
    }
    return SONDE_OK;
}
