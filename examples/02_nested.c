/* 02_nested.c - children, typed tags, an error: a span per block, finished on every way out. */
#include <stdio.h>
#include <string.h>

#include <sonde/sonde.h>

static int charge(const char *card)
{
    SONDE_SPAN(span, "card.charge"); /* child of whatever is active */

    sonde_span_set_double(span, "amount", 19.90);
    if (strcmp(card, "expired") == 0)
        return sonde_span_error(span, "payment.refused", "the card has expired"), -1;
    return 0;
}

static int place_order(const char *card, int lines)
{
    SONDE_SPAN(span, "order.place");

    sonde_span_set_resource(span, "POST /orders");
    sonde_span_set_type(span, "web");
    sonde_span_set_int(span, "order.lines", lines);
    sonde_span_set_bool(span, "order.gift", 0);
    return charge(card);
}

int main(void)
{
    sonde_start(NULL);
    printf("valid card: %d\n", place_order("4242", 3));
    printf("expired card: %d\n", place_order("expired", 1));
    sonde_stop();
    return 0;
}
