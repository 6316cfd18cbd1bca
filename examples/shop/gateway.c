/* gateway.c - the shop's front door: checks the caller, passes the request on to orders over HTTP.
 *
 *   shop-gateway [port [orders-url]]
 *
 * Shows: a server span per request (web.c), a child span, a client span whose context travels in the headers. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "web.h"

static const char *orders_url = "http://127.0.0.1:8132";

/* -- HTTP client: one libcurl handle per thread, so that connections are reused -------------------- */

static pthread_key_t handle_key;

static CURL *thread_handle(void)
{
    CURL *handle = pthread_getspecific(handle_key);

    if (!handle) {
        handle = curl_easy_init();
        pthread_setspecific(handle_key, handle);
    }
    if (handle)
        curl_easy_reset(handle);
    return handle;
}

/* How sonde_inject() adds a header to the request that is being built. */
static void add_header(void *user, sonde_str name, sonde_str value)
{
    struct curl_slist **headers = user;
    struct curl_slist *longer;
    char line[1024];

    snprintf(line, sizeof(line), "%.*s: %.*s", (int)name.len, name.ptr, (int)value.len, value.ptr);
    longer = curl_slist_append(*headers, line);
    if (longer)
        *headers = longer;
}

static size_t keep_body(char *data, size_t size, size_t count, void *user)
{
    web_reply *reply = user;
    size_t used = strlen(reply->body), room = sizeof(reply->body) - 1 - used;
    size_t take = size * count < room ? size * count : room;

    memcpy(reply->body + used, data, take);
    reply->body[used + take] = '\0';
    return size * count;
}

static void call_orders(const char *method, const char *route, const char *path, web_reply *reply)
{
    struct curl_slist *headers = NULL;
    CURL *handle = thread_handle();
    char resource[128], url[512];
    CURLcode result;
    long status = 0;

    snprintf(resource, sizeof(resource), "%s %s", method, route);
    snprintf(url, sizeof(url), "%s%s", orders_url, path);
    SONDE_SPAN_WITH(span, "http.client",
                    &(sonde_span_options){ .resource = resource, .type = "http" });
    sonde_span_set_str(span, "span.kind", "client");
    sonde_span_set_str(span, "component", "libcurl");
    sonde_span_set_str(span, "http.method", method);
    sonde_span_set_str(span, "http.url", url);
    sonde_span_set_str(span, "peer.service", "orders");
    sonde_inject(NULL, &(sonde_writer){ .set = add_header, .user = &headers });

    reply->body[0] = '\0';
    curl_easy_setopt(handle, CURLOPT_URL, url);
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, keep_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, reply);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, 5000L);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    result = curl_easy_perform(handle);
    curl_slist_free_all(headers);

    if (result != CURLE_OK) {
        sonde_span_error(span, "curl", curl_easy_strerror(result));
        reply->status = MHD_HTTP_BAD_GATEWAY;
        snprintf(reply->body, sizeof(reply->body), "{\"error\":\"orders cannot be reached\"}\n");
        return;
    }
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    web_tag_status(span, (unsigned)status);
    reply->status = status >= 500 ? MHD_HTTP_BAD_GATEWAY : (unsigned)status;
}

/* -- pages ---------------------------------------------------------------------------------------- */

/* Stands for a token check: a little real work. */
static int caller_is_known(uint64_t customer)
{
    SONDE_SPAN(span, "auth.check");
    uint64_t h = customer + 0x9e3779b97f4a7c15u;
    int i;

    for (i = 0; i < 20000; i++)
        h = (h ^ (h >> 31)) * 0xbf58476d1ce4e5b9u;
    sonde_span_set_int(span, "customer.id", (int64_t)customer);
    return h != 0;
}

static void handle(const web_request *request, web_reply *reply)
{
    uint64_t customer = web_argument(request, "customer", 0);
    int placing = strcmp(request->method, "POST") == 0 && strcmp(request->path, "/orders") == 0;
    int reading = strcmp(request->method, "GET") == 0 && strncmp(request->path, "/orders/", 8) == 0;
    char path[256];

    if (!placing && !reading)
        return;
    sonde_span_set_resource(request->span, placing ? "POST /orders" : "GET /orders/{id}");
    if (!caller_is_known(customer)) {
        reply->status = MHD_HTTP_FORBIDDEN;
        return;
    }
    snprintf(path, sizeof(path), "%s?customer=%llu&lines=%llu", request->path,
             (unsigned long long)customer, (unsigned long long)web_argument(request, "lines", 1));
    call_orders(request->method, placing ? "/orders" : "/orders/{id}", path, reply);
}

int main(int argc, char **argv)
{
    uint16_t port = (uint16_t)web_number(argc > 1 ? argv[1] : NULL, 8131);
    char counters[512];
    int failed;

    if (argc > 2)
        orders_url = argv[2];
    web_block_signals();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    pthread_key_create(&handle_key, curl_easy_cleanup);

    sonde_start(NULL); /* DD_SERVICE, DD_ENV, DD_TRACE_AGENT_URL, ... */
    failed = web_serve(port, handle);
    sonde_stop();

    web_counters_json(counters, sizeof(counters));
    fputs(counters, stdout);
    curl_easy_cleanup(pthread_getspecific(handle_key));
    curl_global_cleanup();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
