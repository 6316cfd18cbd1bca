/* overrides.c - the YAML files of conf.d beside the configuration file, in the byte order of their names.
 *
 * Bounds   CONFIG_OVERRIDES_MAX files: one more is an error, because leaving it out would be a surprise.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "internal.h"

#define PATH_MAX_BYTES 4096

typedef struct names {
    char *name[CONFIG_OVERRIDES_MAX]; /* owned */
    size_t len;
} names;

static bool is_override_name(const char *name)
{
    sonde_str s = sonde_str_from(name);

    return name[0] != '.' &&
           (sonde_str_ends(s, SONDE_STR(".yaml")) || sonde_str_ends(s, SONDE_STR(".yml")));
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static sonde_status list(DIR *dir, const char *folder, names *out, sonde_error *out_error)
{
    const struct dirent *entry;

    while ((entry = readdir(dir))) {
        size_t bytes = strlen(entry->d_name) + 1;

        if (!is_override_name(entry->d_name) || entry->d_type == DT_DIR)
            continue;
        if (out->len == CONFIG_OVERRIDES_MAX)
            return sonde_fail(out_error, SONDE_ERR_TOO_BIG, "%s: more than %d files", folder,
                              CONFIG_OVERRIDES_MAX);
        out->name[out->len] = sonde_malloc(bytes);
        if (!out->name[out->len])
            return SONDE_ERR_NOMEM;
        memcpy(out->name[out->len++], entry->d_name, bytes);
    }
    qsort(out->name, out->len, sizeof(out->name[0]), by_bytes);
    return SONDE_OK;
}

static sonde_status read_override(builder *b, const char *path, sonde_error *out_error)
{
    sonde_status status;
    sonde_buf text;

    sonde_buf_init(&text, CONFIG_FILE_MAX_BYTES);
    status = read_file(path, &text, out_error);
    if (status == SONDE_OK) {
        b->c->overrides[b->c->overrides_len++] = keep(b, sonde_str_from(path));
        status = read_yaml(b, sonde_buf_str(&text), path, true, out_error);
    }
    sonde_buf_done(&text);
    return status;
}

sonde_status read_overrides(builder *b, const char *file, sonde_error *out_error)
{
    char folder[PATH_MAX_BYTES - 300], path[PATH_MAX_BYTES];
    const char *slash = strrchr(file, '/');
    names n = { .len = 0 };
    sonde_status status;
    DIR *dir;

    (void)snprintf(folder, sizeof(folder), "%.*sconf.d", slash ? (int)(slash - file) + 1 : 0, file);
    dir = opendir(folder);
    if (!dir)
        return errno == ENOENT || errno == ENOTDIR ? SONDE_OK
                                                   : sonde_fail_sys(out_error, errno, "%s", folder);
    status = list(dir, folder, &n, out_error);
    (void)closedir(dir);
    for (size_t i = 0; status == SONDE_OK && i < n.len; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, n.name[i]);
        status = read_override(b, path, out_error);
    }
    for (size_t i = 0; i < n.len; i++)
        sonde_free(n.name[i]);
    return status;
}
