/* path.c - one way to write a path: without authority, empty steps and dots.
 *
 * Go's servers, which tracers are used to, send clients that write it otherwise on to this form; here it
 * is served right away, because few of them follow.
 */
#include <string.h>

#include "base/str.h"
#include "net/server/internal.h"

/* "http://host:port/path" is what clients write who think that we are a proxy. */
static sonde_str without_authority(sonde_str target)
{
    size_t at;

    if (sonde_str_starts(target, SONDE_STR("/")) || !sonde_str_find(target, SONDE_STR("://"), &at))
        return target;
    target = sonde_str_sub(target, at + 3, target.len);
    return sonde_str_find(target, SONDE_STR("/"), &at) ? sonde_str_sub(target, at, target.len)
                                                       : SONDE_STR("/");
}

bool path_is_clean(sonde_str path)
{
    size_t at;

    return sonde_str_starts(path, SONDE_STR("/")) && !sonde_str_find(path, SONDE_STR("//"), &at) &&
           !sonde_str_find(path, SONDE_STR("/."), &at);
}

/* Takes the last step away. */
static size_t step_back(const char *room, size_t len)
{
    while (len && room[--len] != '/')
        ;
    return len;
}

sonde_str path_clean(sonde_str target, char *room)
{
    sonde_str rest = without_authority(target);
    size_t len = 0;

    if (!sonde_str_starts(rest, SONDE_STR("/"))) /* "*", and what is no path */
        return rest;
    while (rest.len) {
        sonde_str step = sonde_str_cut(&rest, '/');
        bool is_dot = sonde_str_eq(step, SONDE_STR("."));
        bool is_back = sonde_str_eq(step, SONDE_STR(".."));

        if (is_back)
            len = step_back(room, len);
        if (step.len == 0 || is_dot || is_back)
            continue;
        room[len++] = '/';
        memcpy(room + len, step.ptr, step.len);
        len += step.len;
    }
    if (len == 0 || target.ptr[target.len - 1] == '/')
        room[len++] = '/';
    return (sonde_str){ room, len };
}
