/* text_numbers.c - a hash table that never moves what it knows. */
#include "text_numbers.h"

#include "base/alloc.h"

#define SLOTS_MIN 64u
#define SLOTS_MAX (1u << 20)

sonde_status sonde__text_numbers_open(sonde__text_numbers *t, size_t max_bytes)
{
    uint32_t n = SLOTS_MIN;

    while (2 * n * sizeof(sonde__text_slot) <= max_bytes && n < SLOTS_MAX)
        n *= 2;
    t->slots_len = n;
    t->slots = (sonde__text_slot *)sonde_calloc(n, sizeof(*t->slots));
    t->next = 1;
    return t->slots ? SONDE_OK : SONDE_ERR_NOMEM;
}

void sonde__text_numbers_close(sonde__text_numbers *t)
{
    sonde_free(t->slots);
    t->slots = NULL;
}

void sonde__text_numbers_reset(sonde__text_numbers *t)
{
    if (t->next > 1)
        memset(t->slots, 0, t->slots_len * sizeof(*t->slots));
    t->next = 1;
}

void sonde__text_numbers_forget(sonde__text_numbers *t, uint32_t number)
{
    uint32_t i;

    for (i = 0; i < t->slots_len; i++)
        if (t->slots[i].number >= number)
            t->slots[i].number = 0;
    t->next = number;
}

size_t sonde__text_numbers_bytes(const sonde__text_numbers *t)
{
    return t->slots ? t->slots_len * sizeof(*t->slots) : 0;
}
