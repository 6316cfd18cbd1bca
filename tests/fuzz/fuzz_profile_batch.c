/* fuzz_profile_batch.c - property: whatever comes as a batch is refused, or merged into a profile whose rows add up to
 * those of the batch, whose stacks end at the root, and which encodes. */
#include <stdint.h>
#include <stdlib.h>

#include "agent/profiles/pprof.h"
#include "agent/profiles/session.h"
#include "base/buf.h"

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void check_profile(const session *s, profile *p)
{
    uint64_t lost = 0;
    sonde_buf out;

    for (size_t i = 0; i < PROFILE_LOSSES; i++)
        lost += p->lost[i];
    must(s->counters.rows == p->rows + lost);
    for (uint32_t i = 1; i < p->nodes_len; i++)
        must(p->nodes[i].parent < i && p->nodes[i].location < p->locations_len);
    for (uint32_t i = 0; i < p->samples_len; i++)
        must(p->samples[i].node && p->samples[i].node < p->nodes_len &&
             p->samples[i].thread < p->threads_len);
    sonde_buf_init(&out, PPROF_MAX_BYTES);
    must(pprof_encode(
             p,
             &(pprof_options){ .cut_share = p->rows % 2 ? 10 : 0, .no_timeline = p->rows % 3 == 0 },
             &out) == SONDE_OK);
    sonde_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str body = { (const char *)data, size };
    batch_facts f;
    session *s = NULL;
    profile *p = NULL;

    if (batch_check(body, &f, NULL) != SONDE_OK || !batch_begins(&f))
        return 0;
    must(session_open(f.hello.session, NULL, &s) == SONDE_OK && profile_open(&p) == SONDE_OK);
    if (session_accepts(s, &f) == SESSION_TAKES) {
        must(session_greet(s, &f.hello) == SONDE_OK);
        must(session_merge(s, body, p) == SONDE_OK);
        must(session_accepts(s, &f) == SESSION_HAS_IT);
        check_profile(s, p);
    }
    profile_close(p);
    session_close(s);
    return 0;
}
