/* settings.c - <sonde/config.h>: the table and what became of it, for the program. */
#include "sonde/config.h"

#include <string.h>

#include "config_read.h"
#include "live.h"
#include "settings.h"
#include "tracer.h"

const char *sonde__origin_name(sonde__origin origin)
{
    static const char *const names[SONDE__ORIGINS] = {
        [SONDE__ORIGIN_DEFAULT] = "default",
        [SONDE__ORIGIN_CALCULATED] = "calculated",
        [SONDE__ORIGIN_LOCAL] = "local_stable_config",
        [SONDE__ORIGIN_OTEL] = "env_var",
        [SONDE__ORIGIN_ENV] = "env_var",
        [SONDE__ORIGIN_FLEET] = "fleet_stable_config",
        [SONDE__ORIGIN_CODE] = "code",
        [SONDE__ORIGIN_REMOTE] = "remote_config",
    };

    return names[origin];
}

/* Appends as much as there is room for. */
static size_t append(char *to, size_t len, sonde_str text)
{
    size_t n = sonde_utf8_cut(text, SONDE_SETTING_ROOM - 1 - len);

    memcpy(to + len, n ? text.ptr : "", n);
    to[len + n] = '\0';
    return len + n;
}

void sonde__setting_print(const sonde__row *row, sonde_str value, char to[SONDE_SETTING_ROOM],
                          uint32_t *out_bytes)
{
    size_t user, host, len;

    if (row->secret && value.len > 0)
        value = SONDE_STR("***");
    if ((row->type == SONDE__TYPE_URL || row->type == SONDE__TYPE_REPOSITORY) &&
        sonde_url_find_user(value, &user, &host)) {
        len = append(to, 0, sonde_str_sub(value, 0, user));
        (void)append(to, len, sonde_str_sub(value, host, value.len));
        *out_bytes = (uint32_t)(value.len - (host - user));
        return;
    }
    (void)append(to, 0, value);
    *out_bytes = (uint32_t)value.len;
}

/* A boolean in one form, whatever was written; "" is one that has no default and was not given. */
static sonde_str value_text(const sonde__config *c, size_t at)
{
    const sonde__row *row = &sonde__rows[at];
    bool on;

    if (row->type != SONDE__TYPE_BOOL || c->settings[at].value.len == 0)
        return c->settings[at].value;
    memcpy(&on, (const char *)c + row->field, sizeof(on));
    return on ? SONDE_STR("true") : SONDE_STR("false");
}

static void copy_id(char to[SONDE_CONFIG_ID_ROOM], sonde_str id)
{
    size_t len = sonde_utf8_cut(id, SONDE_CONFIG_ID_ROOM - 1);

    memcpy(to, len ? id.ptr : "", len);
    to[len] = '\0';
}

static void fill(const sonde__config *c, size_t at, sonde_setting *out)
{
    sonde_setting s = { .struct_bytes = out->struct_bytes,
                        .name = sonde__rows[at].names[0],
                        .found_as = c->settings[at].name,
                        .origin = sonde__origin_name(c->settings[at].origin) };
    size_t bytes = out->struct_bytes;

    if (c->settings[at].origin == SONDE__ORIGIN_FLEET)
        copy_id(s.config_id, c->fleet_id);
    else if (c->settings[at].origin == SONDE__ORIGIN_LOCAL)
        copy_id(s.config_id, c->local_id);
    if (sonde__live_setting(s.name, s.value, &s.value_bytes))
        s.origin = sonde__origin_name(SONDE__ORIGIN_REMOTE);
    else
        sonde__setting_print(&sonde__rows[at], value_text(c, at), s.value, &s.value_bytes);
    memcpy(out, &s, bytes == 0 || bytes > sizeof(s) ? sizeof(s) : bytes);
}

static sonde_status read_setting(size_t at, sonde_setting *out)
{
    const sonde__config *c = sonde__settings_hold();
    sonde_status status = !out                    ? SONDE_ERR_INVALID
                          : !c                    ? SONDE_ERR_STATE
                          : at >= sonde__rows_len ? SONDE_ERR_NOT_FOUND
                                                  : SONDE_OK;

    if (status == SONDE_OK)
        fill(c, at, out);
    sonde__settings_release();
    return status;
}

sonde_status sonde_setting_at(uint32_t index, sonde_setting *out)
{
    return read_setting(index, out);
}

static bool is_called(const sonde__row *row, const char *name)
{
    size_t i;

    for (i = 0; i < SONDE__NAMES_MAX && row->names[i]; i++)
        if (strcmp(row->names[i], name) == 0)
            return true;
    return false;
}

sonde_status sonde_setting_find(const char *name, sonde_setting *out)
{
    size_t at = 0;

    while (at < sonde__rows_len && !(name && is_called(&sonde__rows[at], name)))
        at++;
    return read_setting(at, out);
}
