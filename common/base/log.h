/* base/log.h - one line, one event.
 *
 *   SONDE_LOG(SONDE_LOG_WARN, "agent unreachable: url=%s next_try_ms=%u", url, pause_ms);
 *
 * Lower-case message, then key=value pairs; text from outside goes through SONDE_LOG_QUOTE.  Every
 * call site of an error or a warning is limited to one line a minute, which then says how many were
 * suppressed; SONDE_LOG_ALWAYS is not, for start-up lines.
 * Default sink: standard error, one write(2) a line: `time level prefix: message`.
 *
 * Threads   all; takes no lock, so a forked child may log at once.  Not in signal handlers.  The
 *           setters belong to start-up; a sink that is replaced may still be called for a moment.
 */
#ifndef SONDE_BASE_LOG_H
#define SONDE_BASE_LOG_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/export.h"
#include "sonde/status.h"

typedef enum sonde_log_level {
    SONDE_LOG_OFF = -1, /* as a threshold only */
    SONDE_LOG_ERROR,
    SONDE_LOG_WARN,
    SONDE_LOG_INFO,
    SONDE_LOG_DEBUG,
    SONDE_LOG_TRACE,
} sonde_log_level;

typedef struct sonde_log_site {    /* one per call site, zero-initialised */
    _Atomic uint64_t next_mono_ns; /* when it may print again */
    _Atomic uint32_t suppressed;
} sonde_log_site;

/* `line` has no newline and no NUL behind it. */
typedef void (*sonde_log_sink)(void *user, sonde_log_level level, const char *line, size_t len);

void sonde_log_set_level(sonde_log_level level);
sonde_log_level sonde_log_get_level(void);

/* Datadog's names, any case. */
sonde_status sonde_log_parse_level(sonde_str s, sonde_log_level *out);
const char *sonde_log_level_name(sonde_log_level level); /* "warn" */

void sonde_log_set_sink(sonde_log_sink sink, void *user); /* NULL: standard error */
void sonde_log_set_copy(sonde_log_sink copy, void *user); /* gets every line too; NULL: nobody */
/* Hears of every error and warning that is to be printed, also where a call site is over its limit: its format
 * (static text), not what is filled in.  From any thread; NULL: nobody. */
void sonde_log_set_watch(void (*watch)(sonde_log_level level, const char *fmt));
void sonde_log_set_prefix(const char *prefix); /* borrowed; "sonde" by default, or "sonde agent" */
void sonde_log_set_pause(uint64_t pause_ns);   /* of a call site, see above; 0: no limit */
void sonde_log_set_json(int on);               /* one JSON object a line instead of text */

void sonde_log_write(sonde_log_site *site, sonde_log_level level, const char *fmt, ...)
    SONDE_PRINTF(3, 4);

/* A line that may be longer than the 1 KiB of the others; allocates, and is lost when it cannot. */
void sonde_log_long(sonde_log_level level, sonde_str message);

#define SONDE_LOG(level, ...)                                                                      \
    do {                                                                                           \
        static sonde_log_site sonde_log_site_;                                                     \
        if ((level) <= sonde_log_get_level())                                                      \
            sonde_log_write(&sonde_log_site_, (level), __VA_ARGS__);                               \
    } while (0)

#define SONDE_LOG_ALWAYS(level, ...)                                                               \
    do {                                                                                           \
        if ((level) <= sonde_log_get_level())                                                      \
            sonde_log_write(NULL, (level), __VA_ARGS__);                                           \
    } while (0)

/* Quotes, escapes and cuts (256 bytes) text from outside into `out` (capacity `cap`, NUL-terminated). */
const char *sonde_log_quote(sonde_str s, char *out, size_t cap);
#define SONDE_LOG_QUOTE(s) sonde_log_quote((s), (char[272]){ 0 }, 272)

#endif /* SONDE_BASE_LOG_H */
