/* agent/forwarder/limits.h - the ceilings of this room, where the configuration sets none. */
#ifndef SONDE_AGENT_FORWARDER_LIMITS_H
#define SONDE_AGENT_FORWARDER_LIMITS_H

#define FORWARDER_ENDPOINTS_MAX 16

/* Bodies waiting for or on their way to one endpoint; the oldest waiting one makes room (`budget`). */
#define FORWARDER_MEMORY_BYTES (24u * 1024 * 1024)

/* How long a body is kept trying (`expired`). */
#define FORWARDER_MAX_AGE_NS (UINT64_C(3600) * 1000000000u)

/* Requests in flight to one endpoint; one while it is failing. */
#define FORWARDER_REQUESTS 5

/* Part of FORWARDER_MEMORY_BYTES that may wait before the oldest goes to disk. */
#define FORWARDER_SPILL_RATIO 0.5

/* How long a body waits in memory for an endpoint that fails: a kill costs no more than that. */
#define FORWARDER_SPILL_AGE_NS (UINT64_C(10) * 1000000000u)

#define FORWARDER_TIMEOUT_NS      (UINT64_C(10) * 1000000000u)
#define FORWARDER_BACKOFF_BASE_NS (UINT64_C(100) * 1000000u)
#define FORWARDER_BACKOFF_MAX_NS  (UINT64_C(10) * 1000000000u)

#endif /* SONDE_AGENT_FORWARDER_LIMITS_H */
