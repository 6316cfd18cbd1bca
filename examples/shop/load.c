/* load.c - a bounded load on the gateway: so many requests a second, for so long or so many, over a few connections.
 *
 *   shop-load --url http://127.0.0.1:8131 [--rate 50] [--seconds 0] [--count 0]       0: no bound
 *
 * Prints one JSON line a second and one at the end.  SIGTERM and SIGINT end it in order: running requests are waited for.
 * Threads   one; everything runs on one libcurl multi handle. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <curl/curl.h>

#define CONNECTIONS 16   /* requests at a time; when all are busy, the load waits and is late */
#define RECENT      1000 /* latencies the percentiles are taken of */

static struct {
    const char *url;
    uint64_t rate, seconds, count;
} options = { "http://127.0.0.1:8131", 50, 0, 0 };

static struct {
    uint64_t started, finished, failed; /* failed: no answer, or 5xx */
    uint32_t recent_us[RECENT];
} stats;

static volatile sig_atomic_t stopping;

static void on_signal(int sig)
{
    (void)sig;
    stopping = 1;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static size_t ignore_body(char *data, size_t size, size_t count, void *user)
{
    (void)data, (void)user;
    return size * count;
}

/* Two orders are placed for each one that is looked at. */
static void begin(CURLM *multi, CURL *handle)
{
    uint64_t n = stats.started++;
    char url[512];

    if (n % 3 == 2)
        snprintf(url, sizeof(url), "%s/orders/%" PRIu64 "?customer=%" PRIu64, options.url,
                 1 + n / 3, n % 97);
    else
        snprintf(url, sizeof(url), "%s/orders?customer=%" PRIu64 "&lines=%" PRIu64, options.url,
                 n % 97, 1 + n % 4);
    curl_easy_setopt(handle, CURLOPT_URL, url);
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, n % 3 == 2 ? "GET" : "POST");
    curl_multi_add_handle(multi, handle);
}

static void end(CURL *handle, CURLcode result)
{
    curl_off_t us = 0;
    long status = 0;

    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(handle, CURLINFO_TOTAL_TIME_T, &us);
    stats.recent_us[stats.finished++ % RECENT] = (uint32_t)us;
    if (result != CURLE_OK || status >= 500)
        stats.failed++;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void report(uint64_t elapsed_ms)
{
    size_t n = stats.finished < RECENT ? (size_t)stats.finished : RECENT;
    static uint32_t sorted[RECENT];
    size_t i;

    for (i = 0; i < n; i++)
        sorted[i] = stats.recent_us[i];
    qsort(sorted, n, sizeof(sorted[0]), by_value);
    printf("{\"requests\":%" PRIu64 ",\"failed\":%" PRIu64
           ",\"per_second\":%.1f,\"p50_ms\":%.2f,\"p99_ms\":%.2f}\n",
           stats.finished, stats.failed,
           elapsed_ms ? (double)stats.finished * 1000 / (double)elapsed_ms : 0.0,
           n ? sorted[n / 2] / 1000.0 : 0.0, n ? sorted[n * 99 / 100] / 1000.0 : 0.0);
    fflush(stdout);
}

/* May another request begin at `elapsed_ms`? */
static int due(uint64_t elapsed_ms)
{
    if (stopping || (options.count && stats.started >= options.count) ||
        (options.seconds && elapsed_ms >= options.seconds * 1000))
        return 0;
    return stats.started < elapsed_ms * options.rate / 1000 + 1;
}

static int over(uint64_t elapsed_ms)
{
    int ended = stopping || (options.count && stats.started >= options.count) ||
                (options.seconds && elapsed_ms >= options.seconds * 1000);

    return ended && stats.finished == stats.started;
}

/* The handles that wait for work. */
typedef struct idle_handles {
    CURL *handle[CONNECTIONS];
    int count;
} idle_handles;

static void collect(CURLM *multi, idle_handles *idle)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        CURL *handle = message->easy_handle;

        end(handle, message->data.result);
        curl_multi_remove_handle(multi, handle);
        idle->handle[idle->count++] = handle;
    }
}

static void run(CURLM *multi, idle_handles *idle)
{
    uint64_t start = now_ms(), next_report = 1000, elapsed = 0;
    int running;

    while (!over(elapsed)) {
        while (idle->count > 0 && due(elapsed))
            begin(multi, idle->handle[--idle->count]);
        curl_multi_perform(multi, &running);
        collect(multi, idle);
        curl_multi_poll(multi, NULL, 0, 10, NULL);
        elapsed = now_ms() - start;
        if (elapsed >= next_report) {
            report(elapsed);
            next_report += 1000;
        }
    }
    report(elapsed);
}

static uint64_t number(const char *text)
{
    uint64_t n = 0;

    for (; *text; text++) {
        if (*text < '0' || *text > '9' || n > 1000000000) {
            fprintf(stderr, "not a number: %s\n", text);
            exit(2);
        }
        n = n * 10 + (uint64_t)(*text - '0');
    }
    return n;
}

static void read_options(int argc, char **argv)
{
    static const struct option known[] = { { "url", 1, NULL, 'u' },
                                           { "rate", 1, NULL, 'r' },
                                           { "seconds", 1, NULL, 's' },
                                           { "count", 1, NULL, 'c' },
                                           { NULL, 0, NULL, 0 } };
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 'u':
            options.url = optarg;
            break;
        case 'r':
            options.rate = number(optarg);
            break;
        case 's':
            options.seconds = number(optarg);
            break;
        case 'c':
            options.count = number(optarg);
            break;
        default:
            fprintf(stderr, "usage: shop-load --url URL [--rate N] [--seconds N] [--count N]\n");
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    idle_handles idle = { .count = CONNECTIONS };
    CURLM *multi;
    int i;

    read_options(argc, argv);
    sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_signal }, NULL);
    sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_signal }, NULL);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    multi = curl_multi_init();
    for (i = 0; i < CONNECTIONS; i++) {
        idle.handle[i] = curl_easy_init();
        curl_easy_setopt(idle.handle[i], CURLOPT_WRITEFUNCTION, ignore_body);
        curl_easy_setopt(idle.handle[i], CURLOPT_TIMEOUT_MS, 10000L);
    }

    run(multi, &idle);

    for (i = 0; i < idle.count; i++)
        curl_easy_cleanup(idle.handle[i]);
    curl_multi_cleanup(multi);
    curl_global_cleanup();
    return stats.failed == stats.finished ? EXIT_FAILURE : EXIT_SUCCESS;
}
