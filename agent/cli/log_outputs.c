/* log_outputs.c - one sink that hands each line to those that are in use. */
#include "log_outputs.h"

#include <stdatomic.h>
#include <unistd.h>

#include <sys/uio.h>

#include "base/log.h"

#include "log_file.h"
#include "log_syslog.h"

static _Atomic bool to_file, to_console, to_syslog;

static void write_line(void *user, sonde_log_level level, const char *line, size_t len)
{
    const struct iovec parts[] = { { (void *)(uintptr_t)line, len },
                                   { (void *)(uintptr_t) "\n", 1 } };

    if (atomic_load_explicit(&to_file, memory_order_relaxed))
        log_file_write(user, level, line, len);
    if (atomic_load_explicit(&to_syslog, memory_order_relaxed))
        log_syslog_write(user, level, line, len);
    if (atomic_load_explicit(&to_console, memory_order_relaxed))
        (void)!writev(STDERR_FILENO, parts, 2);
}

static bool use_file(const agent_config *c)
{
    sonde_error error = { 0 };

    if (c->log_file.len == 0)
        return false;
    if (log_file_use(c->log_file, c->log_file_bytes, (unsigned)c->log_file_rolls, &error) ==
        SONDE_OK)
        return true;
    SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "%s", error.message);
    return atomic_load_explicit(&to_file, memory_order_relaxed); /* the former one, if any */
}

static bool use_syslog(const agent_config *c)
{
    sonde_error error = { 0 };

    if (!c->log_to_syslog)
        return false;
    if (log_syslog_use(c->syslog_uri, c->syslog_rfc, &error) == SONDE_OK)
        return true;
    SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "%s", error.message);
    return false;
}

void log_outputs_use(const agent_config *c)
{
    bool file = use_file(c), syslog = use_syslog(c);
    bool console = c->log_to_console == CONFIG_AUTO ? !file : c->log_to_console == CONFIG_ON;

    atomic_store_explicit(&to_file, file, memory_order_relaxed);
    atomic_store_explicit(&to_syslog, syslog, memory_order_relaxed);
    atomic_store_explicit(&to_console, console, memory_order_relaxed);
    sonde_log_set_sink(write_line, NULL);
}
