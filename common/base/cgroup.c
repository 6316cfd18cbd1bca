/* cgroup.c - ids of containers in the paths of control groups. */
#include "base/cgroup.h"

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static size_t hex_run(sonde_str s)
{
    size_t n = 0;

    while (n < s.len && is_hex(s.ptr[n]))
        n++;
    return n;
}

static bool is_all_hex(sonde_str s, size_t len)
{
    return s.len == len && hex_run(s) == len;
}

static bool is_uuid(sonde_str s)
{
    static const size_t groups[] = { 8, 4, 4, 4, 12 };
    size_t i;

    for (i = 0; i < 5; i++) {
        if (hex_run(s) < groups[i])
            return false;
        s = sonde_str_sub(s, groups[i], s.len);
        if (i == 4 || (i == 3 && s.len == 0)) /* a short form ends with its fourth group of four */
            return s.len == 0;
        if (s.len == 0 || (s.ptr[0] != '-' && s.ptr[0] != '_'))
            return false;
        s = sonde_str_sub(s, 1, s.len);
        if (i == 3 && is_all_hex(s, 4))
            return true;
    }
    return false;
}

static bool is_task(sonde_str s) /* <32 hex>-<digits> */
{
    size_t i;

    if (s.len < 34 || hex_run(s) != 32 || s.ptr[32] != '-')
        return false;
    for (i = 33; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return true;
}

sonde_str sonde_cgroup_component_id(sonde_str c)
{
    size_t i;

    if (sonde_str_ends(c, SONDE_STR(".scope")))
        c.len -= 6;
    for (i = 0; i < c.len; i++) {
        sonde_str tail = sonde_str_sub(c, i, c.len);

        if (is_all_hex(tail, 64) || is_uuid(tail) || is_task(tail))
            return tail;
    }
    return (sonde_str){ NULL, 0 };
}

static sonde_str last_component(sonde_str line)
{
    size_t i = line.len;

    while (i > 0 && line.ptr[i - 1] != '/')
        i--;
    return sonde_str_sub(line, i, line.len);
}

sonde_str sonde_cgroup_container_id(sonde_str text)
{
    while (text.len > 0) {
        sonde_str id = sonde_cgroup_component_id(last_component(sonde_str_cut(&text, '\n')));

        if (id.len > 0 && id.len <= SONDE_CGROUP_ID_MAX)
            return id;
    }
    return (sonde_str){ NULL, 0 };
}
