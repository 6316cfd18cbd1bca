/* flare_log.c - lines one behind the other, each with its line feed. */
#include "flare_log.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/mutex.h"

static sonde_mutex mu = SONDE_MUTEX_INIT(SONDE_RANK_LOG);
static char *lines; /* guarded by mu, as those below; NULL: nothing is copied */
static size_t lines_len;
static uint64_t lost;

/* Makes room by dropping whole lines off the front. */
static void drop_half_locked(void)
{
    size_t from = lines_len / 2;
    size_t i;

    while (from < lines_len && lines[from - 1] != '\n')
        from++;
    for (i = 0; i < from; i++)
        lost += lines[i] == '\n';
    memmove(lines, lines + from, lines_len - from);
    lines_len -= from;
}

static void add_line(void *unused, sonde_log_level level, const char *line, size_t len)
{
    (void)unused, (void)level;
    sonde_mutex_lock(&mu);
    if (lines && len < SONDE__FLARE_LOG_MAX_BYTES / 4) {
        while (lines_len + len + 1 > SONDE__FLARE_LOG_MAX_BYTES)
            drop_half_locked();
        memcpy(lines + lines_len, line, len);
        lines_len += len;
        lines[lines_len++] = '\n';
    } else if (lines) {
        lost++;
    }
    sonde_mutex_unlock(&mu);
}

sonde_status sonde__flare_log_begin(void)
{
    sonde_status status = SONDE_OK;

    sonde_mutex_lock(&mu);
    if (!lines) {
        lines = (char *)sonde_malloc(SONDE__FLARE_LOG_MAX_BYTES);
        lines_len = 0;
        lost = 0;
    }
    if (!lines)
        status = SONDE_ERR_NOMEM;
    sonde_mutex_unlock(&mu);
    if (status == SONDE_OK)
        sonde_log_set_copy(add_line, NULL);
    return status;
}

void sonde__flare_log_end(void)
{
    char *was;

    sonde_log_set_copy(NULL, NULL);
    sonde_mutex_lock(&mu);
    was = lines;
    lines = NULL;
    sonde_mutex_unlock(&mu);
    sonde_free(was);
}

void sonde__flare_log_read(sonde_buf *out)
{
    sonde_mutex_lock(&mu);
    if (lines && lost > 0)
        sonde_buf_printf(out, "%llu lines before these are missing\n", (unsigned long long)lost);
    if (lines)
        sonde_buf_append(out, lines, lines_len);
    sonde_mutex_unlock(&mu);
}

SONDE_NO_TSA void sonde__flare_log_prefork(void)
{
    sonde_mutex_lock(&mu);
}

SONDE_NO_TSA void sonde__flare_log_postfork(void)
{
    sonde_mutex_unlock(&mu);
}
