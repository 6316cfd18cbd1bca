/* policy.h - what decides where no decision was inherited: the rules in force, before the agent's rates.
 *
 * A policy is immutable.  Remote configuration may replace it at any time: a thread announces in its area
 * which one it uses, and a replaced one is freed when no area names it.
 *
 * Threads   all.  Using one: no lock; replacing: a mutex.
 * Bounds    one in force, and the replaced ones that are being used. */
#ifndef SONDE_LIBTRACE_POLICY_H
#define SONDE_LIBTRACE_POLICY_H

#include <stdatomic.h>
#include <stdint.h>

#include "area.h"
#include "config.h"
#include "rules.h"

typedef struct sonde__policy {
    sonde__rules rules; /* remote ones, local ones, the rate for all the rest */
    sonde_limiter limiter;
    uint16_t id;                /* differs from that of its neighbours in time */
    struct sonde__policy *next; /* of those replaced */
} sonde__policy;

extern _Atomic(sonde__policy *) sonde__policy_now; /* NULL: no rules */

/* Tells the list what every span has: the tags of the configuration, or in their place `tags`. */
void sonde__rules_know_config(sonde__rules *r, const sonde__config *c, const sonde__tag *tags,
                              uint32_t tags_len);

/* A life of the tracer begins, with the rules of its configuration. */
SONDE_MUST_USE sonde_status sonde__policy_open(const sonde__config *c);

/* Remote configuration: `rules` is a JSON array or empty, `rate` that for all spans or negative, `tags`
 * those of all spans or NULL for the configured ones.  What was sent before no longer counts.  On failure everything stays as it was. */
SONDE_MUST_USE sonde_status sonde__policy_set_remote(const sonde__config *c, sonde_str rules,
                                                     double rate, const sonde__tag *tags,
                                                     uint32_t tags_len);

/* The policy in force, which stays valid until sonde__policy_leave(); NULL: there is none. */
sonde__policy *sonde__policy_enter(sonde__area *a);
void sonde__policy_leave(sonde__area *a);

void sonde__policy_prefork(void);
void sonde__policy_postfork_parent(void);
void sonde__policy_postfork_child(void);

#endif /* SONDE_LIBTRACE_POLICY_H */
