/* agent/sampler/limits.h - the ceilings of this room. */
#ifndef SONDE_AGENT_SAMPLER_LIMITS_H
#define SONDE_AGENT_SAMPLER_LIMITS_H

/* Services whose rate is published; the least recently seen one makes room (`catalog_evicted`). */
#define SAMPLER_CATALOG_MAX 5000

/* Signatures counted one by one; further ones share one (`signatures_collapsed`). */
#define SAMPLER_SIGNATURES_MAX 10000

/* "service,env" as hashed and published; normalisation keeps both well below, the rest is cut. */
#define SAMPLER_KEY_MAX_BYTES 512

#endif /* SONDE_AGENT_SAMPLER_LIMITS_H */
