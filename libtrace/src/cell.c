/* cell.c - the region and the lists of batches.
 *
 * A list's head is one word: the index of its first batch and a count that changes with every
 * operation, so that a head read before other threads popped and pushed never compares equal (the ABA
 * problem).  What lies below a batch is kept beside the cells, because threads that lose the race read it
 * after the batch was taken; what they read is thrown away. */
#include "cell.h"

#include <sys/mman.h>

#include "area.h"
#include "flusher.h"

#define HOME_PART   4  /* of the region, at most, lies in one thread's list */
#define SILENT_PART 16 /* of the region may be idle or not without all knowing it */

sonde__cells sonde__pool;

/* A batch: a cell that lists its fellows. */
typedef struct batch {
    _Atomic uint64_t token;
    struct sonde__cell *unused;
    uint32_t fellow[SONDE__CELL_BATCH - 1];
} batch;

_Static_assert(sizeof(batch) <= SONDE__CELL_BYTES, "a batch is a cell");

static _Atomic uint32_t *below_of; /* by index: the batch below on the stack, 0 none */

sonde_status sonde__cells_open(uint64_t bytes)
{
    uint64_t count = bytes / SONDE__CELL_BYTES;
    void *base;

    if (sonde__pool.base)
        return SONDE_OK;
    if (count > SONDE__CELL_INDEX_MASK)
        count = SONDE__CELL_INDEX_MASK;
    count -= count % SONDE__CELL_BATCH;
    if (count < 2 * SONDE__CELL_BATCH)
        return SONDE_ERR_INVALID;
    base = mmap(NULL, count * (SONDE__CELL_BYTES + sizeof(*below_of)), PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return SONDE_ERR_NOMEM;
    sonde__pool.base = (sonde__cell *)base;
    below_of = (_Atomic uint32_t *)(void *)(sonde__pool.base + count);
    sonde__pool.count = (uint32_t)count;
    atomic_store_explicit(&sonde__pool.fresh, SONDE__CELL_BATCH, memory_order_relaxed);
    return SONDE_OK;
}

uint64_t sonde__cells_used_bytes(void)
{
    const sonde__area *a = atomic_load_explicit(&sonde__areas, memory_order_acquire);
    uint64_t fresh = atomic_load_explicit(&sonde__pool.fresh, memory_order_relaxed);
    uint64_t idle = atomic_load_explicit(&sonde__pool.shared.len, memory_order_relaxed);

    for (; a; a = a->next)
        idle += atomic_load_explicit(&a->returned.len, memory_order_relaxed);
    idle *= SONDE__CELL_BATCH;
    return fresh > idle ? (fresh - idle) * SONDE__CELL_BYTES : 0;
}

static batch *batch_at(uint32_t index)
{
    return (batch *)(void *)sonde__cell_at(index);
}

/* After `len` changed, in either direction: all lists together keep a sixteenth of the region to themselves. */
static void tell(sonde__cell_list *list, uint32_t len)
{
    uint32_t lists = atomic_load_explicit(&sonde__pool.lists, memory_order_relaxed) + 1;
    uint32_t silent = sonde__pool.count / SONDE__CELL_BATCH / SILENT_PART / lists;
    uint32_t told = atomic_load_explicit(&list->told, memory_order_relaxed);

    if (len - told + silent > 2 * silent &&
        atomic_compare_exchange_strong_explicit(&list->told, &told, len, memory_order_relaxed,
                                                memory_order_relaxed))
        atomic_fetch_add_explicit(&sonde__pool.idle, len - told, memory_order_relaxed);
}

static bool pop_batch(sonde__cell_list *list, sonde__cell_stack *stack)
{
    /* pairs with push_batch() */
    uint64_t head = atomic_load_explicit(&list->head, memory_order_acquire);
    uint64_t below;
    batch *b;
    int i;

    do {
        if ((uint32_t)head == 0)
            return false;
        below = atomic_load_explicit(&below_of[(uint32_t)head], memory_order_relaxed);
        below |= ((head >> 32) + 1) << 32;
    } while (!atomic_compare_exchange_weak_explicit(&list->head, &head, below, memory_order_acquire,
                                                    memory_order_acquire));
    tell(list, atomic_fetch_sub_explicit(&list->len, 1, memory_order_relaxed) - 1);
    b = batch_at((uint32_t)head);
    for (i = 0; i < SONDE__CELL_BATCH - 1; i++)
        stack->index[stack->len++] = b->fellow[i];
    stack->index[stack->len++] = (uint32_t)head;
    return true;
}

static void push_batch(sonde__cell_list *list, uint32_t index)
{
    uint64_t head = atomic_load_explicit(&list->head, memory_order_relaxed);
    uint64_t now;

    /* Before it can be popped, so that `len` never falls below 0. */
    tell(list, atomic_fetch_add_explicit(&list->len, 1, memory_order_relaxed) + 1);
    do {
        atomic_store_explicit(&below_of[index], (uint32_t)head, memory_order_relaxed);
        now = ((head >> 32) + 1) << 32 | index;
        /* pairs with pop_batch() */
    } while (!atomic_compare_exchange_weak_explicit(&list->head, &head, now, memory_order_release,
                                                    memory_order_relaxed));
}

static bool take_fresh(sonde__cell_stack *stack)
{
    uint32_t from = atomic_load_explicit(&sonde__pool.fresh, memory_order_relaxed);
    uint32_t i;

    do {
        if (sonde__pool.count - from < SONDE__CELL_BATCH)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&sonde__pool.fresh, &from,
                                                    from + SONDE__CELL_BATCH, memory_order_relaxed,
                                                    memory_order_relaxed));
    for (i = from + SONDE__CELL_BATCH; i-- > from;) {
        atomic_store_explicit(&sonde__cell_at(i)->token, SONDE__CELL_INDEX_MASK + 1 + i,
                              memory_order_relaxed);
        stack->index[stack->len++] = i;
    }
    return true;
}

/* What lies idle for other threads, where all that is left is that. */
static bool take_others(sonde__cell_stack *stack)
{
    sonde__area *a = atomic_load_explicit(&sonde__areas, memory_order_acquire);

    for (; a; a = a->next)
        if (&a->returned != stack->home && pop_batch(&a->returned, stack))
            return true;
    return false;
}

bool sonde__cells_half_used(void)
{
    uint32_t fresh = atomic_load_explicit(&sonde__pool.fresh, memory_order_relaxed);
    uint32_t idle = atomic_load_explicit(&sonde__pool.idle, memory_order_relaxed);

    return (int64_t)fresh - (int64_t)(int32_t)idle * SONDE__CELL_BATCH > sonde__pool.count / 2;
}

bool sonde__cells_refill(sonde__cell_stack *stack)
{
    bool got = (stack->home && pop_batch(stack->home, stack)) ||
               pop_batch(&sonde__pool.shared, stack) || take_fresh(stack) || take_others(stack);
    uint32_t i;

    for (i = 1; got && i <= SONDE__CELLS_AHEAD; i++)
        sonde__cell_prefetch(sonde__cell_at(stack->index[stack->len - i]));
    if ((!got || sonde__cells_half_used()) &&
        !atomic_exchange_explicit(&sonde__pool.hurry, true, memory_order_relaxed))
        sonde__flusher_wake();
    return got;
}

void sonde__cells_spill(sonde__cell_stack *stack)
{
    sonde__cell_list *home = stack->home;
    uint32_t index = stack->index[--stack->len];
    batch *b = batch_at(index);
    int i;

    for (i = SONDE__CELL_BATCH - 1; i-- > 0;)
        b->fellow[i] = stack->index[--stack->len];
    if (home && atomic_load_explicit(&home->len, memory_order_relaxed) >=
                    sonde__pool.count / SONDE__CELL_BATCH / HOME_PART)
        home = NULL;
    push_batch(home ? home : &sonde__pool.shared, index);
}

/* Fewer cells than a batch cannot be given back; they stay with the stack, whose owner (a thread area)
 * passes them on to the next thread. */
void sonde__cells_give_all(sonde__cell_stack *stack)
{
    while (stack->len >= SONDE__CELL_BATCH)
        sonde__cells_spill(stack);
}
