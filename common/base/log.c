/* log.c - one line, one event.
 *
 * A line is built on the stack and leaves in one write(2): lines of threads never mix, and a forked
 * child may log at once, since no lock is taken.
 *
 *   2026-11-25T15:04:05.123Z warn sonde agent: agent unreachable: url=... next_try_ms=400
 *
 * Bounds   a message is cut at 1 KiB, a JSON line at twice that; sonde_log_long() is not. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/format.h"

#define MESSAGE_MAX_BYTES 1024
#define LINE_MAX_BYTES    2304
#define QUOTE_MAX_BYTES   256

static const char *const level_names[] = { "error", "warn", "info", "debug", "trace" };

static _Atomic uint64_t site_pause_ns = 60ull * SONDE_NS_PER_S;
static _Atomic int current_level = SONDE_LOG_INFO;
static _Atomic bool as_json;
static _Atomic(const char *) line_prefix = "sonde";
static _Atomic(sonde_log_sink) line_sink; /* NULL: standard error */
static void *_Atomic line_sink_user;
static void (*_Atomic line_watch)(sonde_log_level level, const char *fmt);
static _Atomic(sonde_log_sink) line_copy; /* NULL: none */
static void *_Atomic line_copy_user;

void sonde_log_set_pause(uint64_t pause_ns)
{
    atomic_store_explicit(&site_pause_ns, pause_ns, memory_order_relaxed);
}

void sonde_log_set_level(sonde_log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

sonde_log_level sonde_log_get_level(void)
{
    return (sonde_log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

sonde_status sonde_log_parse_level(sonde_str s, sonde_log_level *out)
{
    static const struct {
        sonde_str name;
        sonde_log_level level;
    } names[] = {
        { { "off", 3 }, SONDE_LOG_OFF },      { { "critical", 8 }, SONDE_LOG_ERROR },
        { { "error", 5 }, SONDE_LOG_ERROR },  { { "warn", 4 }, SONDE_LOG_WARN },
        { { "warning", 7 }, SONDE_LOG_WARN }, { { "info", 4 }, SONDE_LOG_INFO },
        { { "debug", 5 }, SONDE_LOG_DEBUG },  { { "trace", 5 }, SONDE_LOG_TRACE },
    };
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (sonde_str_eq_nocase(s, names[i].name)) {
            *out = names[i].level;
            return SONDE_OK;
        }
    }
    return SONDE_ERR_SYNTAX;
}

const char *sonde_log_level_name(sonde_log_level level)
{
    return level == SONDE_LOG_OFF ? "off" : level_names[level];
}

void sonde_log_set_sink(sonde_log_sink sink, void *user)
{
    atomic_store_explicit(&line_sink_user, user, memory_order_relaxed);
    atomic_store_explicit(&line_sink, sink, memory_order_release); /* pairs with emit() */
}

void sonde_log_set_copy(sonde_log_sink copy, void *user)
{
    atomic_store_explicit(&line_copy_user, user, memory_order_relaxed);
    atomic_store_explicit(&line_copy, copy, memory_order_release); /* pairs with emit() */
}

void sonde_log_set_watch(void (*watch)(sonde_log_level level, const char *fmt))
{
    atomic_store_explicit(&line_watch, watch, memory_order_release); /* pairs with tell_watch() */
}

static void tell_watch(sonde_log_level level, const char *fmt)
{
    void (*watch)(sonde_log_level, const char *) =
        atomic_load_explicit(&line_watch, memory_order_acquire);

    if (watch)
        watch(level, fmt);
}

void sonde_log_set_prefix(const char *prefix)
{
    atomic_store_explicit(&line_prefix, prefix, memory_order_release); /* pairs with write_line() */
}

void sonde_log_set_json(int on)
{
    atomic_store_explicit(&as_json, on != 0, memory_order_relaxed);
}

/* A line being built; what does not fit is left out. */
typedef struct line {
    size_t len;
    size_t cap;
    char *text;
} line;

static void add(line *l, const char *text, size_t len)
{
    if (len > l->cap - l->len)
        len = l->cap - l->len;
    memcpy(l->text + l->len, text, len);
    l->len += len;
}

static void add_cstr(line *l, const char *text)
{
    add(l, text, strlen(text));
}

/* One character of quoted text, escaped as JSON and C both read it. */
static void add_escaped(line *l, char c)
{
    static const char digits[] = "0123456789abcdef";
    char escape[6] = { '\\', 'u', '0', '0', 0, 0 };

    switch (c) {
    case '"':
    case '\\':
        escape[1] = c;
        add(l, escape, 2);
        return;
    case '\n':
        add(l, "\\n", 2);
        return;
    case '\t':
        add(l, "\\t", 2);
        return;
    default:
        break;
    }
    if ((unsigned char)c >= 0x20 && c != 0x7f) {
        add(l, &c, 1);
        return;
    }
    escape[4] = digits[(unsigned char)c >> 4];
    escape[5] = digits[(unsigned char)c & 15];
    add(l, escape, 6);
}

static void add_quoted(line *l, sonde_str s)
{
    size_t i;

    add(l, "\"", 1);
    for (i = 0; i < s.len; i++)
        add_escaped(l, s.ptr[i]);
    add(l, "\"", 1);
}

static void emit(sonde_log_level level, const char *text, size_t len)
{
    /* pairs with set */
    sonde_log_sink sink = atomic_load_explicit(&line_sink, memory_order_acquire);
    sonde_log_sink copy = atomic_load_explicit(&line_copy, memory_order_acquire);
    ssize_t written;

    if (copy)
        copy(atomic_load_explicit(&line_copy_user, memory_order_relaxed), level, text, len - 1);
    if (sink) {
        sink(atomic_load_explicit(&line_sink_user, memory_order_relaxed), level, text, len - 1);
        return;
    }
    do {
        written = write(STDERR_FILENO, text, len);
    } while (written < 0 && errno == EINTR);
}

static void write_line(sonde_log_level level, sonde_str message, char *text, size_t cap)
{
    const char *prefix = atomic_load_explicit(&line_prefix, memory_order_acquire);
    line l = { 0, cap - 2, text }; /* room for what ends the line */
    char time[SONDE_RFC3339_LEN];

    (void)sonde_format_rfc3339(sonde_unix_ns(), time);
    if (atomic_load_explicit(&as_json, memory_order_relaxed)) {
        add_cstr(&l, "{\"time\":\"");
        add(&l, time, sizeof(time));
        add_cstr(&l, "\",\"level\":\"");
        add_cstr(&l, level_names[level]);
        add_cstr(&l, "\",\"logger\":\"");
        add_cstr(&l, prefix);
        add_cstr(&l, "\",\"message\":");
        add_quoted(&l, message);
        text[l.len++] = '}';
    } else {
        add(&l, time, sizeof(time));
        add_cstr(&l, " ");
        add_cstr(&l, level_names[level]);
        add_cstr(&l, " ");
        add_cstr(&l, prefix);
        add_cstr(&l, ": ");
        add(&l, message.ptr, message.len);
    }
    text[l.len++] = '\n';
    emit(level, text, l.len);
}

/* Whether the site may print now; else the line counts as suppressed. */
static bool may_print(sonde_log_site *site)
{
    uint64_t pause = atomic_load_explicit(&site_pause_ns, memory_order_relaxed);
    uint64_t now = sonde_mono_ns();
    uint64_t next = atomic_load_explicit(&site->next_mono_ns, memory_order_relaxed);

    if (pause == 0)
        return true;
    if (now >= next &&
        atomic_compare_exchange_strong_explicit(&site->next_mono_ns, &next, now + pause,
                                                memory_order_relaxed, memory_order_relaxed))
        return true;
    atomic_fetch_add_explicit(&site->suppressed, 1, memory_order_relaxed);
    return false;
}

static size_t fit(int printed, size_t cap)
{
    if (printed < 0)
        return 0;
    return (size_t)printed < cap ? (size_t)printed : cap - 1;
}

void sonde_log_write(sonde_log_site *site, sonde_log_level level, const char *fmt, ...)
{
    int saved_errno = errno;
    char message[MESSAGE_MAX_BYTES];
    char text[LINE_MAX_BYTES];
    uint32_t suppressed = 0;
    va_list args;
    size_t len;

    if (level <= SONDE_LOG_WARN)
        tell_watch(level, fmt);
    if (site && level <= SONDE_LOG_WARN) {
        if (!may_print(site))
            return;
        suppressed = atomic_exchange_explicit(&site->suppressed, 0, memory_order_relaxed);
    }
    va_start(args, fmt);
    len = fit(vsnprintf(message, sizeof(message), fmt, args), sizeof(message));
    va_end(args);
    if (suppressed)
        len += fit(snprintf(message + len, sizeof(message) - len, " suppressed=%u", suppressed),
                   sizeof(message) - len);
    write_line(level, (sonde_str){ message, len }, text, sizeof(text));
    errno = saved_errno;
}

void sonde_log_long(sonde_log_level level, sonde_str message)
{
    size_t cap = 2 * message.len + LINE_MAX_BYTES; /* twice: JSON in JSON is mostly quotes */
    char *text = level <= sonde_log_get_level() ? (char *)sonde_malloc(cap) : NULL;

    if (text)
        write_line(level, message, text, cap);
    sonde_free(text);
}

const char *sonde_log_quote(sonde_str s, char *out, size_t cap)
{
    static const char cut_mark[] = "...\"";
    size_t keep = sonde_utf8_cut(s, QUOTE_MAX_BYTES);
    line l = { 0, cap, out };
    size_t i;

    if (cap < 16) /* no room for anything worth reading */
        return "\"\"";
    l.cap = cap - sizeof(cut_mark) - 6; /* an escape more always fits before the mark */
    add(&l, "\"", 1);
    for (i = 0; i < keep && l.len < l.cap; i++) {
        l.cap += 6;
        add_escaped(&l, s.ptr[i]);
        l.cap -= 6;
    }
    l.cap = cap - 1;
    add_cstr(&l, i < s.len ? cut_mark : "\"");
    out[l.len] = '\0';
    return out;
}
