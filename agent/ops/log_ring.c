/* log_ring.c - a ring of bytes under a mutex. */
#include "log_ring.h"

#include "base/log.h"
#include "base/mutex.h"

static struct {
    sonde_mutex mu;
    char bytes[LOG_RING_BYTES]; /* guarded by mu, as the rest */
    size_t from;                /* of the oldest byte */
    size_t len;
} ring = { .mu = SONDE_MUTEX_INIT(SONDE_RANK_LOG) };

static void put(const char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        ring.bytes[(ring.from + ring.len) % LOG_RING_BYTES] = text[i];
        if (ring.len < LOG_RING_BYTES)
            ring.len++;
        else
            ring.from = (ring.from + 1) % LOG_RING_BYTES;
    }
}

static void keep_line(void *user, sonde_log_level level, const char *line, size_t len)
{
    (void)user, (void)level;
    sonde_mutex_lock(&ring.mu);
    put(line, len < LOG_RING_BYTES / 2 ? len : LOG_RING_BYTES / 2);
    put("\n", 1);
    sonde_mutex_unlock(&ring.mu);
}

void log_ring_start(void)
{
    sonde_log_set_copy(keep_line, NULL);
}

void log_ring_stop(void)
{
    sonde_log_set_copy(NULL, NULL);
    sonde_mutex_lock(&ring.mu);
    ring.from = ring.len = 0;
    sonde_mutex_unlock(&ring.mu);
}

void log_ring_write(sonde_buf *out)
{
    size_t i = 0;

    sonde_mutex_lock(&ring.mu);
    if (ring.len == LOG_RING_BYTES) /* the oldest line lost its beginning */
        while (i < ring.len && ring.bytes[(ring.from + i++) % LOG_RING_BYTES] != '\n')
            ;
    for (; i < ring.len; i++)
        sonde_buf_append_byte(out, (uint8_t)ring.bytes[(ring.from + i) % LOG_RING_BYTES]);
    sonde_mutex_unlock(&ring.mu);
}
