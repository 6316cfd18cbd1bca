/* fuzz_http_answer.c - an answer of whoever listens where the agent should.
 *
 * Property: never crashes; head and body stay below their ceilings; and the outcome (status, body, bytes
 * taken, failure) is the same however the bytes are cut into reads.  The first byte of the input
 * chooses the cut, and whether the answer is one to HEAD. */
#include <stdint.h>
#include <stdlib.h>

#include "net/http_answer.h"

#define BODY_MAX_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct outcome {
    sonde_http_answer answer;
    sonde_status status;
    size_t used;
} outcome;

static void require(int condition)
{
    if (!condition)
        abort();
}

static void run(outcome *o, sonde_str in, size_t piece, bool to_head)
{
    sonde_http_answer_init(&o->answer, BODY_MAX_BYTES);
    sonde_http_answer_begin(&o->answer, to_head);
    o->status = SONDE_OK;
    o->used = 0;
    while (o->used < in.len && o->status == SONDE_OK && !sonde_http_answer_is_done(&o->answer)) {
        size_t n = 0;

        o->status = sonde_http_answer_feed(&o->answer, sonde_str_sub(in, o->used, piece), &n);
        o->used += n;
        require(o->answer.head.len <= SONDE_HTTP_HEAD_MAX_BYTES);
        require(o->answer.body.len <= BODY_MAX_BYTES);
    }
    if (o->status == SONDE_OK)
        o->status = sonde_http_answer_eof(&o->answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    outcome whole, cut;
    sonde_str in;

    if (size == 0)
        return 0;
    in = (sonde_str){ (const char *)data + 1, size - 1 };
    run(&whole, in, SIZE_MAX, data[0] & 1);
    run(&cut, in, (size_t)(data[0] >> 1) % 61 + 1, data[0] & 1);

    require(whole.status == cut.status);
    if (whole.status == SONDE_OK) {
        require(whole.used == cut.used);
        require(whole.answer.status == cut.answer.status && whole.answer.status >= 200);
        require(whole.answer.keep_alive == cut.answer.keep_alive);
        require(sonde_str_eq(sonde_buf_str(&whole.answer.head), sonde_buf_str(&cut.answer.head)));
        require(sonde_str_eq(sonde_buf_str(&whole.answer.body), sonde_buf_str(&cut.answer.body)));
        (void)sonde_http_head_find(sonde_buf_str(&whole.answer.head), SONDE_STR("Content-Length"));
    }
    sonde_http_answer_done(&whole.answer);
    sonde_http_answer_done(&cut.answer);
    return 0;
}
