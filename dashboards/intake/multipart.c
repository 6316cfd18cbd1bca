/* multipart.c - see multipart.h. */
#include "dashboards/intake/multipart.h"

#include <string.h>

/* ---- header values: "form-data; name=\"event\"; filename=x" ---- */

/* The value of a parameter, quotes taken off; empty: not there. */
static sonde_str find_param(sonde_str value, const char *name)
{
    (void)sonde_str_cut(&value, ';');
    while (value.len) {
        sonde_str key = sonde_str_trim(sonde_str_cut(&value, '='));
        sonde_str found;

        value = sonde_str_trim(value);
        if (value.len && value.ptr[0] == '"') {
            value = sonde_str_sub(value, 1, value.len);
            found = sonde_str_cut(&value, '"');
            (void)sonde_str_cut(&value, ';');
        } else {
            found = sonde_str_trim(sonde_str_cut(&value, ';'));
        }
        if (sonde_str_eq_nocase(key, sonde_str_from(name)))
            return found;
    }
    return (sonde_str){ NULL, 0 };
}

/* ---- lines ---- */

/* Behind a delimiter: blanks and CRLF. */
static bool skip_line_end(sonde_str *s)
{
    size_t at = 0;

    while (at < s->len && (s->ptr[at] == ' ' || s->ptr[at] == '\t'))
        at++;
    if (s->len - at < 2 || s->ptr[at] != '\r' || s->ptr[at + 1] != '\n')
        return false;
    *s = sonde_str_sub(*s, at + 2, s->len);
    return true;
}

static sonde_str take_line(sonde_str *s)
{
    sonde_str line = sonde_str_cut(s, '\n');

    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* ---- parts ---- */

static bool fail(multipart *m, sonde_status status)
{
    m->status = status;
    m->left = (sonde_str){ NULL, 0 };
    return false;
}

/* The first delimiter may begin the body; what stands before it is nobody's. */
static sonde_status find_first(multipart *m, sonde_str body)
{
    sonde_str mark = { m->mark, m->mark_len };
    size_t at;

    if (sonde_str_starts(body, sonde_str_sub(mark, 2, mark.len)))
        m->left = sonde_str_sub(body, m->mark_len - 2, body.len);
    else if (sonde_str_find(body, mark, &at))
        m->left = sonde_str_sub(body, at + m->mark_len, body.len);
    else
        return SONDE_ERR_SYNTAX;
    return SONDE_OK;
}

sonde_status multipart_open(multipart *m, sonde_str content_type, sonde_str body)
{
    sonde_str copy = content_type;
    sonde_str type = sonde_str_trim(sonde_str_cut(&copy, ';'));
    sonde_str boundary = find_param(content_type, "boundary");

    memset(m, 0, sizeof(*m));
    if (!sonde_str_eq_nocase(type, SONDE_STR("multipart/form-data")) || boundary.len == 0 ||
        boundary.len > MULTIPART_BOUNDARY_MAX)
        return SONDE_ERR_INVALID;
    memcpy(m->mark, "\r\n--", 4);
    memcpy(m->mark + 4, boundary.ptr, boundary.len);
    m->mark_len = 4 + boundary.len;
    m->status = find_first(m, body);
    return m->status;
}

static bool read_head(multipart *m, multipart_part *part)
{
    sonde_str start = m->left, line;

    do {
        if (m->left.len == 0)
            return fail(m, SONDE_ERR_EOF);
        line = take_line(&m->left);
        if (start.len - m->left.len > MULTIPART_HEAD_MAX_BYTES)
            return fail(m, SONDE_ERR_TOO_BIG);
        if (line.len) {
            sonde_str value = line;
            sonde_str name = sonde_str_trim(sonde_str_cut(&value, ':'));

            if (sonde_str_eq_nocase(name, SONDE_STR("content-disposition"))) {
                part->name = find_param(value, "name");
                part->filename = find_param(value, "filename");
            } else if (sonde_str_eq_nocase(name, SONDE_STR("content-type"))) {
                part->content_type = sonde_str_trim(value);
            }
        }
    } while (line.len);
    return true;
}

static bool read_body(multipart *m, multipart_part *part)
{
    sonde_str mark = { m->mark, m->mark_len };
    size_t at;

    /* a body may be empty: its delimiter then follows the head's last line end */
    if (sonde_str_starts(m->left, sonde_str_sub(mark, 2, mark.len))) {
        part->body = (sonde_str){ "", 0 };
        m->left = sonde_str_sub(m->left, m->mark_len - 2, m->left.len);
        return true;
    }
    if (!sonde_str_find(m->left, mark, &at))
        return fail(m, SONDE_ERR_EOF);
    part->body = sonde_str_sub(m->left, 0, at);
    m->left = sonde_str_sub(m->left, at + m->mark_len, m->left.len);
    return true;
}

bool multipart_next(multipart *m, multipart_part *out)
{
    memset(out, 0, sizeof(*out));
    if (m->status != SONDE_OK || sonde_str_starts(m->left, SONDE_STR("--")))
        return false;
    if (m->left.len == 0)
        return fail(m, SONDE_ERR_EOF);
    if (!skip_line_end(&m->left))
        return fail(m, SONDE_ERR_SYNTAX);
    if (m->parts++ == MULTIPART_PARTS_MAX)
        return fail(m, SONDE_ERR_TOO_BIG);
    return read_head(m, out) && read_body(m, out);
}
