/* agent/proxy/limits.h - the ceilings of the room. */
#ifndef SONDE_AGENT_PROXY_LIMITS_H
#define SONDE_AGENT_PROXY_LIMITS_H

#define PROXY_RELAYS_MAX       32 /* requests that wait for a target's answer: 503 beyond */
#define PROXY_ANSWER_MAX_BYTES (1024 * 1024) /* of a target: 502 beyond */
#define PROXY_TARGETS_MAX      16   /* of one door; further ones are left out, with a warning */
#define PROXY_HEADERS_MAX      64   /* of one request: the rest is left out */
#define PROXY_TAGS_MAX_BYTES   4001 /* joined tags of debugger and symdb */
#define PROXY_STOP_NS          1000000000u

#define TELEMETRY_SENDERS 20
#define TELEMETRY_QUEUE   80
#define TELEMETRY_MAX_BYTES                                                                        \
    25000000 /* bodies under way, and at most an eighth of the memory limit */
#define TELEMETRY_TIMEOUT_MS 10000

#endif /* SONDE_AGENT_PROXY_LIMITS_H */
