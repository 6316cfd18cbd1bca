/* http_answer.c - see the diagram in the header.  Every step takes what it can of the input and never
 * looks at a byte twice, so an answer that drips in costs the same as one that comes at once. */
#include "net/http_answer.h"

#include <string.h>

#include "base/hex.h"
#include "base/parse.h"

/* What the headers say about the body. */
typedef struct framing {
    bool chunked;
    bool has_length;
    uint64_t length;
    bool close;
    bool keep_alive;
} framing;

static sonde_str cut_line(sonde_str *text)
{
    sonde_str line = sonde_str_cut(text, '\n');

    if (sonde_str_ends(line, SONDE_STR("\r")))
        line.len--;
    return line;
}

/* "HTTP/1.x SSS ..." */
static sonde_status parse_status_line(sonde_str line, int *out_status, bool *out_is_1_0)
{
    uint64_t code = 0;

    if (line.len < 12 || !sonde_str_starts(line, SONDE_STR("HTTP/1.")) || line.ptr[8] != ' ' ||
        (line.ptr[7] != '0' && line.ptr[7] != '1') || (line.len > 12 && line.ptr[12] != ' '))
        return SONDE_ERR_SYNTAX;
    if (sonde_parse_u64(sonde_str_sub(line, 9, 3), &code) != SONDE_OK || code < 100)
        return SONDE_ERR_SYNTAX;
    *out_status = (int)code;
    *out_is_1_0 = line.ptr[7] == '0';
    return SONDE_OK;
}

/* Connection: a, b */
static bool has_token(sonde_str list, sonde_str token)
{
    while (list.len) {
        if (sonde_str_eq_nocase(sonde_str_trim(sonde_str_cut(&list, ',')), token))
            return true;
    }
    return false;
}

static sonde_status take_length(framing *f, sonde_str value)
{
    uint64_t length = 0;

    if (sonde_parse_u64(value, &length) != SONDE_OK || (f->has_length && f->length != length))
        return SONDE_ERR_SYNTAX;
    f->has_length = true;
    f->length = length;
    return SONDE_OK;
}

static sonde_status take_coding(framing *f, sonde_str value)
{
    if (f->chunked || !sonde_str_eq_nocase(value, SONDE_STR("chunked")))
        return SONDE_ERR_SYNTAX;
    f->chunked = true;
    return SONDE_OK;
}

static bool is_clean(sonde_str line)
{
    size_t i;

    for (i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.ptr[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static sonde_status take_header(framing *f, sonde_str line)
{
    sonde_str value = line;
    sonde_str name = sonde_str_cut(&value, ':');

    if (name.len == line.len || name.len == 0 || name.ptr[0] == ' ' || name.ptr[0] == '\t' ||
        name.ptr[name.len - 1] == ' ' || name.ptr[name.len - 1] == '\t' || !is_clean(line))
        return SONDE_ERR_SYNTAX;
    value = sonde_str_trim(value);
    if (sonde_str_eq_nocase(name, SONDE_STR("Content-Length")))
        return take_length(f, value);
    if (sonde_str_eq_nocase(name, SONDE_STR("Transfer-Encoding")))
        return take_coding(f, value);
    if (sonde_str_eq_nocase(name, SONDE_STR("Connection"))) {
        f->close = f->close || has_token(value, SONDE_STR("close"));
        f->keep_alive = f->keep_alive || has_token(value, SONDE_STR("keep-alive"));
    }
    return SONDE_OK;
}

static void expect_body(sonde_http_answer *a, const framing *f)
{
    if (a->to_head_request || a->status == 204 || a->status == 304) {
        a->state = SONDE_HTTP_ANSWER_DONE;
    } else if (f->chunked) {
        a->state = SONDE_HTTP_ANSWER_CHUNK_LINE;
    } else if (f->has_length) {
        a->left = f->length;
        a->state = f->length ? SONDE_HTTP_ANSWER_SIZED : SONDE_HTTP_ANSWER_DONE;
    } else {
        a->state = SONDE_HTTP_ANSWER_UNTIL_EOF;
        a->keep_alive = false;
    }
}

/* The head is complete.  An interim answer is forgotten; the final one decides what comes next. */
static sonde_status end_of_head(sonde_http_answer *a)
{
    sonde_str text = sonde_buf_str(&a->head);
    framing f = { 0 };
    bool is_1_0 = false;
    int code = 0;
    sonde_status status = parse_status_line(cut_line(&text), &code, &is_1_0);

    while (status == SONDE_OK && text.len) {
        sonde_str line = cut_line(&text);

        if (line.len)
            status = take_header(&f, line);
    }
    if (status != SONDE_OK)
        return status;
    if (code == 101) /* we never ask for another protocol */
        return SONDE_ERR_SYNTAX;
    if (code < 200) {
        sonde_buf_reset(&a->head);
        a->line_at = 0;
        return SONDE_OK;
    }
    a->status = code;
    /* Both framings at once is how requests are smuggled: believe chunked, then hang up. */
    a->keep_alive = !f.close && (!is_1_0 || f.keep_alive) && !(f.chunked && f.has_length);
    if (!f.chunked && f.has_length && f.length > a->body.max_bytes && !a->to_head_request)
        return SONDE_ERR_TOO_BIG;
    expect_body(a, &f);
    return SONDE_OK;
}

static size_t up_to_newline(sonde_str bytes, bool *out_complete)
{
    const char *end = memchr(bytes.ptr, '\n', bytes.len);

    *out_complete = end != NULL;
    return end ? (size_t)(end - bytes.ptr) + 1 : bytes.len;
}

static sonde_status spend_head(sonde_http_answer *a, size_t bytes)
{
    if (bytes > SONDE_HTTP_HEAD_MAX_BYTES - a->head_spent)
        return SONDE_ERR_TOO_BIG;
    a->head_spent += bytes;
    return SONDE_OK;
}

static sonde_status feed_head(sonde_http_answer *a, sonde_str bytes, size_t *out_used)
{
    bool complete = false;
    size_t n = up_to_newline(bytes, &complete);
    sonde_status status = spend_head(a, n);
    sonde_str line;

    *out_used = n;
    if (status != SONDE_OK)
        return status;
    sonde_buf_append(&a->head, bytes.ptr, n);
    if (a->head.status != SONDE_OK || !complete)
        return a->head.status;

    line = sonde_str_sub(sonde_buf_str(&a->head), a->line_at, a->head.len);
    a->line_at = a->head.len;
    if (cut_line(&line).len == 0)
        return end_of_head(a);
    return SONDE_OK;
}

/* Gathers a short line in `line`; it is complete when *out_complete. */
static sonde_status gather_line(sonde_http_answer *a, sonde_str bytes, size_t *out_used,
                                bool *out_complete)
{
    size_t n = up_to_newline(bytes, out_complete);

    *out_used = n;
    if (n > sizeof(a->line) - a->line_len)
        return SONDE_ERR_TOO_BIG;
    memcpy(a->line + a->line_len, bytes.ptr, n);
    a->line_len += n;
    return SONDE_OK;
}

static sonde_str gathered(sonde_http_answer *a)
{
    sonde_str text = { a->line, a->line_len };

    a->line_len = 0;
    return cut_line(&text);
}

/* hex digits, then nothing or an extension after ';', which is ignored */
static sonde_status parse_chunk_size(sonde_str line, uint64_t *out)
{
    sonde_str digits = sonde_str_trim(sonde_str_cut(&line, ';'));

    return sonde_hex_parse_u64(digits, 1, out);
}

static sonde_status feed_chunk_line(sonde_http_answer *a, sonde_str bytes, size_t *out_used)
{
    bool complete = false;
    sonde_status status = gather_line(a, bytes, out_used, &complete);

    if (status != SONDE_OK || !complete)
        return status;
    status = parse_chunk_size(gathered(a), &a->left);
    if (status != SONDE_OK)
        return status;
    if (a->left > a->body.max_bytes - a->body.len)
        return SONDE_ERR_TOO_BIG;
    a->state = a->left ? SONDE_HTTP_ANSWER_CHUNK_DATA : SONDE_HTTP_ANSWER_TRAILER;
    return SONDE_OK;
}

static sonde_status feed_body(sonde_http_answer *a, sonde_str bytes, size_t *out_used)
{
    size_t n = bytes.len < a->left ? bytes.len : (size_t)a->left;

    sonde_buf_append(&a->body, bytes.ptr, n);
    if (a->body.status != SONDE_OK)
        return a->body.status;
    *out_used = n;
    a->left -= n;
    if (a->left == 0)
        a->state = a->state == SONDE_HTTP_ANSWER_SIZED ? SONDE_HTTP_ANSWER_DONE
                                                       : SONDE_HTTP_ANSWER_CHUNK_END;
    return SONDE_OK;
}

/* The line end behind a chunk: LF, or CR and LF. */
static sonde_status feed_chunk_end(sonde_http_answer *a, sonde_str bytes, size_t *out_used)
{
    bool has_cr = a->line_len == 1;

    *out_used = 1;
    if (bytes.ptr[0] == '\r' && !has_cr) {
        a->line_len = 1;
        return SONDE_OK;
    }
    if (bytes.ptr[0] != '\n')
        return SONDE_ERR_SYNTAX;
    a->line_len = 0;
    a->state = SONDE_HTTP_ANSWER_CHUNK_LINE;
    return SONDE_OK;
}

static sonde_status feed_trailer(sonde_http_answer *a, sonde_str bytes, size_t *out_used)
{
    bool complete = false;
    sonde_status status = gather_line(a, bytes, out_used, &complete);

    if (status == SONDE_OK)
        status = spend_head(a, *out_used);
    if (status != SONDE_OK || !complete)
        return status;
    if (gathered(a).len == 0)
        a->state = SONDE_HTTP_ANSWER_DONE;
    return SONDE_OK;
}

static sonde_status feed_until_eof(sonde_http_answer *a, sonde_str bytes, size_t *out_used)
{
    sonde_buf_append(&a->body, bytes.ptr, bytes.len);
    *out_used = bytes.len;
    return a->body.status;
}

static sonde_status feed_step(sonde_http_answer *a, sonde_str bytes, size_t *out_used)
{
    switch (a->state) {
    case SONDE_HTTP_ANSWER_HEAD:
        return feed_head(a, bytes, out_used);
    case SONDE_HTTP_ANSWER_CHUNK_LINE:
        return feed_chunk_line(a, bytes, out_used);
    case SONDE_HTTP_ANSWER_SIZED:
    case SONDE_HTTP_ANSWER_CHUNK_DATA:
        return feed_body(a, bytes, out_used);
    case SONDE_HTTP_ANSWER_CHUNK_END:
        return feed_chunk_end(a, bytes, out_used);
    case SONDE_HTTP_ANSWER_TRAILER:
        return feed_trailer(a, bytes, out_used);
    case SONDE_HTTP_ANSWER_UNTIL_EOF:
        return feed_until_eof(a, bytes, out_used);
    case SONDE_HTTP_ANSWER_DONE:
        break;
    }
    return SONDE_ERR_STATE;
}

void sonde_http_answer_init(sonde_http_answer *a, size_t max_body_bytes)
{
    memset(a, 0, sizeof(*a));
    sonde_buf_init(&a->head, SONDE_HTTP_HEAD_MAX_BYTES);
    sonde_buf_init(&a->body, max_body_bytes);
}

void sonde_http_answer_done(sonde_http_answer *a)
{
    sonde_buf_done(&a->head);
    sonde_buf_done(&a->body);
}

void sonde_http_answer_begin(sonde_http_answer *a, bool to_head_request)
{
    sonde_buf_reset(&a->head);
    sonde_buf_reset(&a->body);
    a->state = SONDE_HTTP_ANSWER_HEAD;
    a->line_at = 0;
    a->head_spent = 0;
    a->line_len = 0;
    a->left = 0;
    a->status = 0;
    a->to_head_request = to_head_request;
    a->keep_alive = false;
}

sonde_status sonde_http_answer_feed(sonde_http_answer *a, sonde_str bytes, size_t *out_used)
{
    size_t used = 0;

    while (used < bytes.len && a->state != SONDE_HTTP_ANSWER_DONE) {
        size_t n = 0;
        sonde_status status = feed_step(a, sonde_str_sub(bytes, used, bytes.len), &n);

        if (status != SONDE_OK)
            return status;
        used += n;
    }
    *out_used = used;
    return SONDE_OK;
}

sonde_status sonde_http_answer_eof(sonde_http_answer *a)
{
    if (a->state == SONDE_HTTP_ANSWER_UNTIL_EOF)
        a->state = SONDE_HTTP_ANSWER_DONE;
    return a->state == SONDE_HTTP_ANSWER_DONE ? SONDE_OK : SONDE_ERR_EOF;
}

sonde_str sonde_http_head_find(sonde_str head, sonde_str name)
{
    (void)cut_line(&head);
    while (head.len) {
        sonde_str value = cut_line(&head);
        sonde_str key = sonde_str_cut(&value, ':');

        if (sonde_str_eq_nocase(key, name))
            return sonde_str_trim(value);
    }
    return (sonde_str){ NULL, 0 };
}
