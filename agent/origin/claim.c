/* claim.c - the two headers that name a container in more ways than one.
 *
 * Source   docs/spec/receiver.md, "Where a request comes from".
 */
#include "claim.h"

#include "base/parse.h"

static bool take_prefix(sonde_str *s, sonde_str prefix)
{
    if (!sonde_str_starts(*s, prefix))
        return false;
    *s = sonde_str_sub(*s, prefix.len, s->len);
    return true;
}

static void read_inode(sonde_str digits, origin_claim *out)
{
    uint64_t inode;

    if (sonde_parse_u64(digits, &inode) == SONDE_OK)
        out->cgroup_inode = inode;
}

static void read_list(sonde_str list, origin_claim *out)
{
    while (list.len) {
        sonde_str part = sonde_str_trim(sonde_str_cut(&list, ','));

        if (take_prefix(&part, SONDE_STR("ci-"))) {
            if (out->container_id.len == 0)
                out->container_id = part;
        } else if (take_prefix(&part, SONDE_STR("in-"))) {
            read_inode(part, out);
        }
    }
}

void origin_read_entity(sonde_str value, origin_claim *out)
{
    value = sonde_str_trim(value);
    if (value.len == 0)
        return;
    if (memchr(value.ptr, ',', value.len)) {
        read_list(value, out);
        return;
    }
    if (take_prefix(&value, SONDE_STR("in-"))) {
        read_inode(value, out);
        return;
    }
    if (!take_prefix(&value, SONDE_STR("cid-")))
        (void)take_prefix(&value, SONDE_STR("ci-"));
    out->container_id = value;
}

void origin_read_external(sonde_str value, origin_claim *out)
{
    while (value.len) {
        sonde_str part = sonde_str_trim(sonde_str_cut(&value, ','));
        bool is_init;

        if (take_prefix(&part, SONDE_STR("it-"))) {
            if (sonde_parse_bool(part, &is_init) == SONDE_OK)
                out->is_init = is_init;
        } else if (take_prefix(&part, SONDE_STR("cn-"))) {
            out->container_name = part;
        } else if (take_prefix(&part, SONDE_STR("pu-"))) {
            out->pod_uid = part;
        }
    }
}
