/* agent/stats/peer_tags.h - which tags of a client span name its peer.
 *
 * Threads   a set is immutable once built; collecting is pure.
 * Bounds    STATS_PEER_TAGS_MAX names; further ones are left out.
 * Source    docs/spec/stats-concentrator.md, "Peer tags".
 */
#ifndef SONDE_AGENT_STATS_PEER_TAGS_H
#define SONDE_AGENT_STATS_PEER_TAGS_H

#include <stddef.h>
#include <stdint.h>

#include "agent/payload/span.h"

#include "limits.h"
#include "span_facts.h"

#define PEER_TAG_SLOTS 512 /* power of two, at least four times the names */

typedef struct peer_tag_set {
    sonde_str names[STATS_PEER_TAGS_MAX]; /* sorted; borrowed */
    size_t len;
    uint8_t slots[PEER_TAG_SLOTS]; /* index + 1 into names, 0 free */
} peer_tag_set;

/* The built-in list and `more` (borrowed for the set's life), sorted, each once. */
void peer_tag_set_init(peer_tag_set *set, const sonde_str *more, size_t more_len);

typedef struct peer_tag {
    uint8_t name; /* index into the set */
    sonde_str value;
} peer_tag;

typedef struct peer_tags {
    uint64_t hash; /* 0: none */
    size_t len;
    peer_tag items[STATS_PEER_TAGS_MAX]; /* in the order of the set */
} peer_tags;

/* What counts for this span; values are views of it, or of `arena` where an address was blanked out
 * (base/peer_ip.h).  An arena that is full leaves such a tag out. */
void peer_tags_collect(const peer_tag_set *set, const payload_span *s, const span_facts *f,
                       span_kind kind, sonde_arena *arena, peer_tags *out);

/* As "key:value" texts in `arena`.  SONDE_ERR_NOMEM: it is full. */
SONDE_MUST_USE sonde_status peer_tags_join(const peer_tag_set *set, const peer_tags *tags,
                                           sonde_arena *arena, sonde_str **out_texts);

/* FNV-1a 64 over the sorted "key:value" texts with one zero byte between them; 0 for none. */
uint64_t peer_tags_hash(const peer_tag_set *set, const peer_tag *items, size_t len);

#endif /* SONDE_AGENT_STATS_PEER_TAGS_H */
