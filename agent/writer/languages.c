/* languages.c - a small sorted set. */
#include "languages.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_plain(sonde_str name)
{
    size_t i;

    for (i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];

        if (c >= 0x80 || (!isalnum(c) && !strchr("._+#-", c)))
            return false;
    }
    return name.len > 0 && name.len <= TRACE_LANGUAGE_MAX_BYTES;
}

void languages_add(languages *l, sonde_str name)
{
    size_t at = 0;
    int order = 1;

    while (at < l->len && (order = sonde_str_cmp(sonde_str_from(l->names[at]), name)) < 0)
        at++;
    if ((at < l->len && order == 0) || l->len == TRACE_LANGUAGES_MAX || !is_plain(name))
        return;
    memmove(l->names[at + 1], l->names[at], (l->len - at) * sizeof(l->names[0]));
    memcpy(l->names[at], name.ptr, name.len);
    l->names[at][name.len] = '\0';
    l->len++;
}

void languages_header(const languages *l, char *out, size_t cap)
{
    size_t i, len;

    out[0] = '\0';
    if (!l->len)
        return;
    len = (size_t)snprintf(out, cap, "X-Datadog-Reported-Languages: %s", l->names[0]);
    for (i = 1; i < l->len && len + strlen(l->names[i]) + 3 < cap; i++)
        len += (size_t)snprintf(out + len, cap - len, "|%s", l->names[i]);
    (void)snprintf(out + len, cap - len, "\n");
}
