/* fuzz_client_stats.c - statistics of unknown origin through decoder, processor and aggregator.
 *
 * Property   no input crashes or passes the arena's ceiling; what decodes is valid UTF-8 with as many groups as
 *            counted, has service, name and resource afterwards, and every hit that came in is counted or lost
 *            by count; a failure leaves nothing behind and says why. */
#include <stdlib.h>

#include "agent/payload/limits.h"
#include "agent/processor/client_stats.h"
#include "agent/receiver/decode.h"
#include "agent/stats/client_aggregator.h"

#define ARENA_MAX_BYTES (4u << 20)
#define NOW_UNIX_NS     INT64_C(1700000000000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static sonde_status take(void *stage, const stats_payload *s)
{
    uint64_t *groups = stage;

    require(s->client_computed);
    for (uint32_t i = 0; i < s->stats_len; i++)
        for (uint32_t k = 0; k < s->stats[i].buckets_len; k++)
            *groups += s->stats[i].buckets[k].groups_len;
    return SONDE_OK;
}

static uint64_t check_groups(const client_stats *c, bool processed)
{
    uint64_t groups = 0;

    for (uint32_t i = 0; i < c->buckets_len; i++) {
        groups += c->buckets[i].groups_len;
        for (uint32_t k = 0; k < c->buckets[i].groups_len; k++) {
            const stats_group *g = &c->buckets[i].groups[k];

            require(sonde_utf8_valid(g->service) && sonde_utf8_valid(g->name) &&
                    sonde_utf8_valid(g->resource) && sonde_utf8_valid(g->type));
            require(!processed || (g->service.len && g->name.len && g->resource.len <= 5000));
        }
    }
    return groups;
}

static void aggregate(payload *p)
{
    client_aggregator *a = NULL;
    client_aggregator_counters n;
    uint64_t groups = 0;

    if (client_aggregator_open((stats_sink){ take, &groups }, 64 * 1024, NOW_UNIX_NS, &a) !=
        SONDE_OK)
        abort();
    client_aggregator_add(a, p->stats, NOW_UNIX_NS);
    client_aggregator_flush(a, NOW_UNIX_NS, CLIENT_FLUSH_ALL);
    client_aggregator_read_counters(a, &n);
    require(n.groups_in == n.groups_counted + n.groups_lost && n.flushed.groups_out == groups);
    require(n.groups_lost || n.hits_in == n.hits_counted);
    client_aggregator_close(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    client_stats_stage stage;
    payload *p = payload_new(ARENA_MAX_BYTES);
    decode_tally tally = { 0 };
    sonde_error error;

    if (!p)
        abort();
    client_stats_stage_init(&stage, SONDE_STR("none"), (client_stats_rules){ .keeps = NULL });
    p->body = (sonde_str){ (const char *)data, size };
    if (decode_stats(p, &tally, &error) == SONDE_OK) {
        require(check_groups(p->stats, false) == tally.groups);
        client_stats_run(&stage, p);
        require(check_groups(p->stats, true) <= tally.groups);
        aggregate(p);
    } else {
        require(!p->stats && error.message[0]);
    }
    require(p->arena.held_bytes <= ARENA_MAX_BYTES);
    payload_free(p);
    return 0;
}
