/* bench_statsd.c - what a metric costs the calling thread.
 *
 *   bench_statsd               prints one JSON object a line
 *
 * The receiver is a Unix datagram socket of this process that is emptied between rounds, so that every
 * line is delivered.  A round is long enough for the sends of its flush to be in the figure. */
#include <stdio.h>
#include <string.h>

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <sonde/sonde.h>

#include "base/clock.h"

#define ROUND_CALLS 100000
#define ROUNDS      20

static int server;

static int listen_at(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    (void)unlink(path);
    return bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ? fd : -1;
}

static void empty(void)
{
    char data[8192];

    while (recv(server, data, sizeof(data), MSG_DONTWAIT) > 0)
        ;
}

typedef void (*call)(sonde_statsd *s, int i);

static void do_count(sonde_statsd *s, int i)
{
    (void)i;
    sonde_statsd_count(s, "shop.orders.placed", 1, "kind:gift,shop:berlin");
}

static void do_gauge(sonde_statsd *s, int i)
{
    sonde_statsd_gauge(s, "shop.queue", i, "shop:berlin");
}

static void do_distribution(sonde_statsd *s, int i)
{
    sonde_statsd_distribution(s, "shop.order.time", i % 1000, "shop:berlin");
}

typedef struct scenario {
    const char *name;
    call call;
    int32_t aggregate;
    int calls; /* of a round: what fits into the receiver when each is a line */
} scenario;

static double best_ns(const scenario *sc, const char *address)
{
    sonde_statsd *s =
        sonde_statsd_new(&(sonde_statsd_options){ .address = address, .aggregate = sc->aggregate });
    double best = 1e9;
    int r, i;

    for (r = 0; r < ROUNDS; r++) {
        uint64_t start = sonde_mono_ns();
        double ns;

        for (i = 0; i < sc->calls; i++)
            sc->call(s, i);
        ns = (double)(sonde_mono_ns() - start) / sc->calls;
        (void)sonde_statsd_flush(s, 100);
        empty();
        if (ns < best)
            best = ns;
    }
    sonde_statsd_free(s);
    return best;
}

int main(void)
{
    static const scenario scenarios[] = {
        { "count", do_count, 0, ROUND_CALLS },
        { "gauge", do_gauge, 0, ROUND_CALLS },
        { "distribution", do_distribution, 0, 4000 },
        { "count_line", do_count, -1, 400 },
    };
    char path[64], address[96];
    size_t i;

    (void)snprintf(path, sizeof(path), "/tmp/sonde-bench-statsd-%d", (int)getpid());
    (void)snprintf(address, sizeof(address), "unix://%s", path);
    server = listen_at(path);
    if (server < 0)
        return 1;
    for (i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        printf("{\"bench\":\"statsd\",\"what\":\"%s\",\"ns_per_op\":%.1f}\n", scenarios[i].name,
               best_ns(&scenarios[i], address));
    (void)unlink(path);
    return 0;
}
