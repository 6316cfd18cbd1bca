/* flare_task.c - two levels of an object; a table says which member goes where. */
#include "flare_task.h"

#include <string.h>

#include "base/log.h"
#include "codec/json_read.h"

#include "apm_tracing.h"

typedef struct text_field {
    const char *inside; /* the member that holds it; NULL: the object itself */
    const char *name;
    char *to;
    size_t room;
} text_field;

static void keep(const text_field *f, sonde_str text)
{
    size_t len = sonde_utf8_cut(text, f->room - 1);

    memcpy(f->to, len ? text.ptr : "", len);
    f->to[len] = '\0';
}

static const text_field *find(const text_field *fields, const char *inside, sonde_str name)
{
    const text_field *f = fields;

    for (; f->name; f++)
        if ((f->inside == NULL) == (inside == NULL) &&
            (!inside || strcmp(f->inside, inside) == 0) &&
            sonde_str_eq(name, sonde_str_from(f->name)))
            return f;
    return NULL;
}

/* The fields' own spelling of the member `name`, when any is inside it. */
static const char *find_inside(const text_field *fields, sonde_str name)
{
    for (; fields->name; fields++)
        if (fields->inside && sonde_str_eq(name, sonde_str_from(fields->inside)))
            return fields->inside;
    return NULL;
}

/* Behind an opening brace.  A number is taken as its digits. */
static bool read_members(sonde_json_reader *r, const text_field *fields, const char *inside)
{
    sonde_json_event e;

    while ((e = sonde_json_next(r)) == SONDE_JSON_KEY) {
        const text_field *f = find(fields, inside, r->text);
        const char *deeper = inside ? NULL : find_inside(fields, r->text);

        e = sonde_json_next(r);
        if (f && (e == SONDE_JSON_STRING || e == SONDE_JSON_NUMBER))
            keep(f, r->text);
        else if (deeper && e == SONDE_JSON_OBJECT ? !read_members(r, fields, deeper)
                                                  : !sonde_json_skip(r, e))
            return false;
    }
    return e == SONDE_JSON_OBJECT_END;
}

static sonde_status read_object(sonde_str json, const text_field *fields)
{
    sonde_json_reader r;
    sonde_status status = SONDE_ERR_SYNTAX;

    sonde_json_reader_init(&r, json, json.len);
    if (sonde_json_next(&r) == SONDE_JSON_OBJECT && read_members(&r, fields, NULL) &&
        sonde_json_next(&r) == SONDE_JSON_END)
        status = SONDE_OK;
    else if (r.status == SONDE_ERR_NOMEM)
        status = SONDE_ERR_NOMEM;
    sonde_json_reader_done(&r);
    return status;
}

sonde_status sonde__flare_level_read(sonde_str json, int *out_level)
{
    char name[32] = "";
    const text_field fields[] = { { "config", "log_level", name, sizeof(name) },
                                  { NULL, NULL, NULL, 0 } };
    sonde_status status = read_object(json, fields);
    sonde_log_level level;

    *out_level = SONDE__REMOTE_LEVEL_NONE;
    if (status != SONDE_OK || name[0] == '\0')
        return status;
    status = sonde_log_parse_level(sonde_str_from(name), &level);
    if (status == SONDE_OK)
        *out_level = (int)level;
    return status;
}

sonde_status sonde__flare_task_read(sonde_str json, sonde__flare_task *out, bool *out_wanted)
{
    char type[32] = "";
    const text_field fields[] = {
        { NULL, "task_type", type, sizeof(type) },
        { NULL, "uuid", out->uuid, sizeof(out->uuid) },
        { "args", "case_id", out->case_id, sizeof(out->case_id) },
        { "args", "hostname", out->hostname, sizeof(out->hostname) },
        { "args", "user_handle", out->email, sizeof(out->email) },
        { NULL, NULL, NULL, 0 },
    };
    sonde_status status;

    memset(out, 0, sizeof(*out));
    status = read_object(json, fields);
    *out_wanted =
        status == SONDE_OK && strcmp(type, "tracer_flare") == 0 && out->case_id[0] != '\0';
    return status;
}
