/* log_ids.c - the active span's ids as texts for logs.
 *
 * Source: docs/spec/spans.md, "Logs". */
#include "sonde/log_ids.h"

#include <string.h>

#include "base/format.h"

#include "chars.h"
#include "live.h"
#include "span.h"
#include "tracer.h"

static bool is_wanted(void)
{
    return atomic_load_explicit(&sonde__live, memory_order_acquire) != 0 &&
           atomic_load_explicit(&sonde__live_logs_injection, memory_order_relaxed);
}

static int fill(const sonde__segment *s, uint64_t span_id, sonde_log_ids *out)
{
    size_t len = 32;

    if (s->trace_id_high != 0 && sonde__settings()->logs_128_bit) {
        sonde__put_hex16(s->trace_id_high, out->trace_id);
        sonde__put_hex16(s->trace_id_low, out->trace_id + 16);
    } else {
        len = sonde_format_u64(s->trace_id_low, out->trace_id);
    }
    out->trace_id[len] = '\0';
    out->span_id[sonde_format_u64(span_id, out->span_id)] = '\0';
    return 1;
}

int sonde_log_ids_of_span(const sonde_span *handle, sonde_log_ids *out)
{
    const sonde__span *span = sonde__span_open(handle);

    if (!out)
        return 0;
    memset(out, 0, sizeof(*out));
    return span && is_wanted() ? fill(span->segment, span->id, out) : 0;
}

int sonde_log_ids_current(sonde_log_ids *out)
{
    const sonde__place *top = sonde__self ? sonde__area_top(sonde__self) : NULL;

    if (!out)
        return 0;
    memset(out, 0, sizeof(*out));
    return top && is_wanted() ? fill(top->segment, top->span_id, out) : 0;
}

/* -- all fields ----------------------------------------------------------------------------------- */

typedef struct line {
    char *out;
    size_t bytes; /* room, with the NUL */
    size_t len;   /* whole fields */
    size_t at;    /* of the field being written; beyond `bytes`: it does not fit */
} line;

static void put(line *l, const char *text, size_t len)
{
    if (l->at + len < l->bytes)
        memcpy(l->out + l->at, text, len);
    l->at += len;
}

/* A line of a log stays one line: control characters become underscores, in JSON escapes. */
static void put_value(line *l, sonde_str value, bool json)
{
    static const char hex[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        char escaped[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

        if (c >= 0x20 && c != 0x7f && !(json && (c == '"' || c == '\\')))
            put(l, &value.ptr[i], 1);
        else if (json)
            put(l, escaped, sizeof(escaped));
        else
            put(l, "_", 1);
    }
}

static void put_field(line *l, sonde_str name, sonde_str value, bool json, bool quoted)
{
    const char *before = json ? "," : " ";

    if (value.len == 0)
        return;
    l->at = l->len;
    if (json || l->len > 0)
        put(l, before, 1);
    put(l, "\"", json);
    put(l, name.ptr, name.len);
    put(l, json ? "\":\"" : "=\"", json ? 3 : 1 + (size_t)quoted);
    put_value(l, value, json);
    put(l, "\"", json || quoted);
    if (l->at < l->bytes)
        l->len = l->at;
}

static const char *write_fields(char *out, size_t bytes, bool json)
{
    line l = { out, bytes, 0, 0 };
    sonde_log_ids ids;
    const sonde__config *c;

    if (!out || bytes == 0)
        return "";
    if (is_wanted()) {
        c = sonde__settings();
        (void)sonde_log_ids_current(&ids);
        put_field(&l, SONDE_STR("dd.service"), c->service, json, false);
        put_field(&l, SONDE_STR("dd.env"), c->env, json, false);
        put_field(&l, SONDE_STR("dd.version"), c->version, json, false);
        put_field(&l, SONDE_STR("dd.trace_id"), sonde_str_from(ids.trace_id), json, true);
        put_field(&l, SONDE_STR("dd.span_id"), sonde_str_from(ids.span_id), json, true);
    }
    out[l.len] = '\0';
    return out;
}

const char *sonde_log_text(char *out, size_t bytes)
{
    return write_fields(out, bytes, false);
}

const char *sonde_log_json(char *out, size_t bytes)
{
    return write_fields(out, bytes, true);
}
