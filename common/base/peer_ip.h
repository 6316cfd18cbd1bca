/* base/peer_ip.h - keeps peer tags groupable: every address becomes "blocked-ip-address".
 *
 * Threads   pure.
 * Source    docs/spec/stats-concentrator.md, "Addresses in peer tags".
 */
#ifndef SONDE_BASE_PEER_IP_H
#define SONDE_BASE_PEER_IP_H

#include "base/arena.h"
#include "base/str.h"
#include "sonde/status.h"

/* `in` is a comma list of hosts.  Without an address in it *out is the same view, else new text in
 * `arena` (SONDE_ERR_NOMEM when that is full). */
SONDE_MUST_USE sonde_status sonde_peer_ip_blank(sonde_arena *arena, sonde_str in, sonde_str *out);

#endif /* SONDE_BASE_PEER_IP_H */
