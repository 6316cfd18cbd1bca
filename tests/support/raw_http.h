/* support/raw_http.h - the other side of an HTTP connection, byte by byte: a client that sends what no
 * well-behaved client sends, and a server that follows a script.
 *
 * The client's calls fail the test when something goes wrong; a read waits a minute at most.  The server's
 * thread only records, the test asserts after raw_server_close(). */
#ifndef SONDE_TESTS_SUPPORT_RAW_HTTP_H
#define SONDE_TESTS_SUPPORT_RAW_HTTP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAW_TEXT_MAX_BYTES 65536

/* ---- client ---- */

int raw_connect(uint16_t port);
int raw_connect_unix(const char *path);
void raw_send(int fd, const char *text);
void raw_send_bytes(int fd, const void *data, size_t len);

typedef struct raw_answer {
    int status;                    /* 0: the connection ended without an answer */
    char text[RAW_TEXT_MAX_BYTES]; /* head and body, NUL-terminated */
    size_t head_len;
    const char *body; /* into text */
    size_t body_len;
} raw_answer;

/* Reads one answer with a Content-Length; `out` is large, keep it static. */
void raw_read_answer(int fd, raw_answer *out);
void raw_read_answer_to_head(int fd,
                             raw_answer *out); /* the same, but to a HEAD request: no body */
bool raw_is_closed(int fd); /* reads until the peer's end of stream; true when nothing else came */

/* ---- server ---- */

typedef enum raw_then {
    RAW_KEEP,
    RAW_CLOSE,
    RAW_AWAIT, /* waits, reading nothing, for raw_server_go(); then reads until the client hangs up */
} raw_then;

typedef struct raw_step {
    const char *answer; /* NULL: none */
    size_t chop;        /* bytes per send; 0: all at once */
    raw_then then;
    bool skip_request; /* answer without reading the request first */
    bool wait;         /* for raw_server_go() before answering */
} raw_step;

#define RAW_REQUESTS_MAX 16

typedef struct raw_server {
    uint16_t port;
    int fd;
    pthread_t thread;
    const raw_step *steps;
    size_t steps_len;
    _Atomic size_t steps_done; /* whose answer was sent; may be read at any time */
    atomic_bool go;
    /* what happened, to be read after raw_server_close() */
    unsigned connections;
    size_t requests_len;
    char requests[RAW_REQUESTS_MAX][4096]; /* cut, NUL-terminated */
} raw_server;

/* Runs the steps in order, accepting a connection whenever it has none; then ends. */
void raw_server_open(raw_server *s, const raw_step *steps, size_t steps_len);
void raw_server_await(raw_server *s, size_t steps); /* until so many are done, a minute at most */
void raw_server_go(raw_server *s);
/* waits for the end of the script, at most a minute per step */
void raw_server_close(raw_server *s);

#endif /* SONDE_TESTS_SUPPORT_RAW_HTTP_H */
