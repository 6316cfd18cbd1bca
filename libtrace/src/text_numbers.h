/* text_numbers.h - numbers for texts that a payload holds once: the table of v0.5 and v1.
 *
 * The texts themselves lie in the payload under construction; the table knows where.  Number 0 is the empty
 * text and is not in the table.
 *
 * Threads   none: the payload's.
 * Bounds    half of its slots, which is what `max_bytes` at the opening gives. */
#ifndef SONDE_LIBTRACE_TEXT_NUMBERS_H
#define SONDE_LIBTRACE_TEXT_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/str.h"

typedef struct sonde__text_slot {
    uint32_t number; /* 0: free */
    uint32_t hash;
    uint32_t at; /* in the payload */
    uint32_t len;
} sonde__text_slot;

typedef struct sonde__text_numbers {
    uint32_t next;      /* the number the next new text gets */
    uint32_t slots_len; /* power of two */
    sonde__text_slot *slots;
} sonde__text_numbers;

SONDE_MUST_USE sonde_status sonde__text_numbers_open(sonde__text_numbers *t, size_t max_bytes);
void sonde__text_numbers_close(sonde__text_numbers *t);
void sonde__text_numbers_reset(sonde__text_numbers *t);

/* Takes out all that got `number` or a later one: what was put in last leaves the ways to the others as
 * they were. */
void sonde__text_numbers_forget(sonde__text_numbers *t, uint32_t number);

size_t sonde__text_numbers_bytes(const sonde__text_numbers *t);

static inline bool sonde__text_numbers_full(const sonde__text_numbers *t)
{
    return 2 * t->next >= t->slots_len;
}

/* The slot of a text (not empty), or the free one it would take; then it is the caller's to fill, with
 * sonde__text_numbers_put(). */
static inline sonde__text_slot *sonde__text_numbers_find(const sonde__text_numbers *t,
                                                         const uint8_t *payload, sonde_str text,
                                                         uint32_t *out_hash)
{
    uint32_t hash = (uint32_t)sonde_hash(0, text.ptr, text.len), i;

    *out_hash = hash;
    for (i = hash;; i++) {
        sonde__text_slot *slot = &t->slots[i & (t->slots_len - 1)];

        if (slot->number == 0 || (slot->hash == hash && slot->len == text.len &&
                                  memcmp(payload + slot->at, text.ptr, text.len) == 0))
            return slot;
    }
}

/* Not when it is full. */
static inline uint32_t sonde__text_numbers_put(sonde__text_numbers *t, sonde__text_slot *slot,
                                               uint32_t hash, size_t at, size_t len)
{
    *slot = (sonde__text_slot){ t->next++, hash, (uint32_t)at, (uint32_t)len };
    return slot->number;
}

#endif /* SONDE_LIBTRACE_TEXT_NUMBERS_H */
