/* queue.c - a doubly linked list in the order of arrival. */
#include "queue.h"

void delivery_queue_push(delivery_queue *q, delivery *d)
{
    delivery *before = q->newest;

    while (before && before->sequence > d->sequence)
        before = before->older;
    d->older = before;
    d->newer = before ? before->newer : q->oldest;
    if (d->newer)
        d->newer->older = d;
    else
        q->newest = d;
    if (before)
        before->newer = d;
    else
        q->oldest = d;
    q->len++;
    q->bytes += d->upload->what.body_len;
}

const delivery *delivery_queue_peek(const delivery_queue *q)
{
    return q->oldest;
}

delivery *delivery_queue_pop(delivery_queue *q)
{
    delivery *d = q->oldest;

    if (!d)
        return NULL;
    q->oldest = d->newer;
    if (d->newer)
        d->newer->older = NULL;
    else
        q->newest = NULL;
    d->older = d->newer = NULL;
    q->len--;
    q->bytes -= d->upload->what.body_len;
    return d;
}
