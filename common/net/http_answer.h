/* net/http_answer.h - parser of one HTTP/1.1 answer, fed with whatever came from the socket.
 *
 *          empty line of 1xx: again
 *          ┌───────┐
 *          ▼       │  Content-Length            all bytes
 *   start ─▶ HEAD ─┼───────────────▶ SIZED ─────────────────▶ DONE
 *                  │  chunked
 *                  ├───────────────▶ CHUNK_LINE ─size 0─▶ TRAILER ─empty line─▶ DONE
 *                  │                  ▲       │ size n
 *                  │                  │       ▼
 *                  │             CHUNK_END ◀─ CHUNK_DATA
 *                  │  neither                                end of input
 *                  ├───────────────▶ UNTIL_EOF ────────────────────────────▶ DONE
 *                  │  204, 304, answer to HEAD
 *                  └────────────────────────────────────────────────────────▶ DONE
 *
 * Lines may end in LF alone.  Folded header lines, bytes below space in the head, contradictory
 * lengths and codings other than chunked are refused: the connection is then of no use any more.
 *
 * Threads   none: a parser belongs to its owner.
 * Bounds    head, interim answers and trailer together SONDE_HTTP_HEAD_MAX_BYTES; the body the
 *           ceiling of `body`; a chunk-size line SONDE_HTTP_CHUNK_LINE_MAX_BYTES.
 */
#ifndef SONDE_NET_HTTP_ANSWER_H
#define SONDE_NET_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "sonde/status.h"

#define SONDE_HTTP_HEAD_MAX_BYTES       16384
#define SONDE_HTTP_CHUNK_LINE_MAX_BYTES 256

typedef enum sonde_http_answer_state {
    SONDE_HTTP_ANSWER_HEAD,
    SONDE_HTTP_ANSWER_SIZED,
    SONDE_HTTP_ANSWER_CHUNK_LINE,
    SONDE_HTTP_ANSWER_CHUNK_DATA,
    SONDE_HTTP_ANSWER_CHUNK_END,
    SONDE_HTTP_ANSWER_TRAILER,
    SONDE_HTTP_ANSWER_UNTIL_EOF,
    SONDE_HTTP_ANSWER_DONE,
} sonde_http_answer_state;

typedef struct sonde_http_answer {
    sonde_http_answer_state state;
    sonde_buf head;    /* status line and headers of the final answer, empty line included */
    sonde_buf body;    /* decoded */
    size_t line_at;    /* HEAD: where the line under way begins in `head` */
    size_t head_spent; /* bytes of head, interim answers and trailer so far */
    /* chunk-size, chunk-end or trailer line under way */
    char line[SONDE_HTTP_CHUNK_LINE_MAX_BYTES];
    size_t line_len;
    uint64_t left; /* body bytes to come: of the whole body (SIZED) or of this chunk */
    int status;    /* of the final answer, 0 before its head is complete */
    bool to_head_request;
    bool keep_alive; /* the connection may be used again after DONE */
} sonde_http_answer;

void sonde_http_answer_init(sonde_http_answer *a, size_t max_body_bytes); /* allocates nothing */
void sonde_http_answer_done(sonde_http_answer *a);

/* Ready for the next answer, memory kept. */
void sonde_http_answer_begin(sonde_http_answer *a, bool to_head_request);

/* Takes bytes up to the end of the answer; *out_used says how many.  What is left over belongs to no
 * answer we asked for.  SONDE_ERR_SYNTAX, SONDE_ERR_TOO_BIG, SONDE_ERR_NOMEM. */
SONDE_MUST_USE sonde_status sonde_http_answer_feed(sonde_http_answer *a, sonde_str bytes,
                                                   size_t *out_used);

/* The peer closed: ends an answer that only the end delimits, SONDE_ERR_EOF for any other. */
SONDE_MUST_USE sonde_status sonde_http_answer_eof(sonde_http_answer *a);

static inline bool sonde_http_answer_is_done(const sonde_http_answer *a)
{
    return a->state == SONDE_HTTP_ANSWER_DONE;
}

/* The final answer's head is there: what the client still wants to send is of no interest. */
static inline bool sonde_http_answer_has_head(const sonde_http_answer *a)
{
    return a->status != 0;
}

/* The first header of that name in a head, any case, trimmed; empty view when absent. */
sonde_str sonde_http_head_find(sonde_str head, sonde_str name);

#endif /* SONDE_NET_HTTP_ANSWER_H */
