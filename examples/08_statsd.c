/* 08_statsd.c - metrics to a DogStatsD agent; needs no tracer. */
#include <stdio.h>

#include <sonde/sonde.h>

static void take_order(sonde_statsd *s, int n)
{
    sonde_statsd_count(s, "shop.orders", 1, n % 3 ? "kind:plain" : "kind:gift");
    sonde_statsd_timing(s, "shop.order_time", 0.5 * n, NULL);
    sonde_statsd_gauge(s, "shop.queue", 100 - n, NULL);
}

int main(void)
{
    sonde_statsd_counters c = { .struct_bytes = sizeof(c) };
    sonde_statsd *s = sonde_statsd_default();
    int i;

    for (i = 0; i < 100; i++)
        take_order(s, i);
    sonde_statsd_send_event(s,
                            &(sonde_statsd_event){ .title = "shop closed", .text = "100 orders" });
    (void)sonde_statsd_flush(s, 100); /* by itself every two seconds, and at exit */
    sonde_statsd_counters_read(s, &c);
    printf("%llu metrics in %llu lines\n", (unsigned long long)c.metrics,
           (unsigned long long)c.lines);
    return 0;
}
