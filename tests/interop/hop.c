/* hop.c - one service of a chain, traced by libtrace: serves GET /, goes on to the next, says what it saw.
 *
 * The header x-chain holds the addresses that are still to be called, separated by blanks.  The answer is a JSON
 * array with one object for this service and one for each behind it.  hop_node.cjs and hop_python.py do the
 * same with Datadog's libraries.
 *
 *     interop-hop          listens on any port of 127.0.0.1, says which, ends on SIGTERM
 *
 * Threads   libmicrohttpd's. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <curl/curl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sonde/sonde.h>

#define ANSWER_ROOM 16384

typedef struct answer {
    char text[ANSWER_ROOM];
    size_t len;
} answer;

static sonde_str find_header(void *connection, sonde_str name)
{
    const char *value = NULL;
    size_t len = 0;

    if (MHD_lookup_connection_value_n(connection, MHD_HEADER_KIND, name.ptr, name.len, &value,
                                      &len) == MHD_NO ||
        !value)
        return (sonde_str){ NULL, 0 };
    return (sonde_str){ value, len };
}

static void add_header(void *user, sonde_str name, sonde_str value)
{
    struct curl_slist **list = user;
    char line[4800];

    (void)snprintf(line, sizeof(line), "%.*s: %.*s", SONDE_STR_ARG(name), SONDE_STR_ARG(value));
    *list = curl_slist_append(*list, line);
}

static size_t take(char *bytes, size_t size, size_t n, void *user)
{
    answer *a = user;

    if (n * size > sizeof(a->text) - 1 - a->len)
        return 0;
    memcpy(a->text + a->len, bytes, n * size);
    a->len += n * size;
    a->text[a->len] = '\0';
    return n * size;
}

/* Calls the first address of `chain` with the rest of it. */
static void call(const char *chain, answer *out)
{
    SONDE_SPAN(span, "hop.call");
    struct curl_slist *headers = NULL;
    size_t len = strcspn(chain, " ");
    char url[128], rest[512];
    CURL *curl = curl_easy_init();

    (void)snprintf(url, sizeof(url), "%.*s", (int)len, chain);
    (void)snprintf(rest, sizeof(rest), "x-chain: %s", chain[len] ? chain + len + 1 : "");
    sonde_span_set_kind(span, SONDE_KIND_CLIENT);
    if (!curl)
        return;
    if (chain[len])
        headers = curl_slist_append(headers, rest);
    sonde_inject(NULL, &(sonde_writer){ .set = add_header, .user = &headers });
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
    if (curl_easy_perform(curl) != CURLE_OK)
        sonde_span_error(span, "hop.call", "the next service did not answer");
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
}

static void serve(struct MHD_Connection *connection, answer *out)
{
    const char *chain = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "x-chain");
    const char *keep = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "x-decide");
    sonde_context *caller =
        sonde_extract(&(sonde_reader){ .get = find_header, .user = connection });
    SONDE_SPAN_WITH(span, "hop.serve", &(sonde_span_options){ .context = caller, .type = "web" });
    answer next = { .len = 0 };
    char trace[33], user[64];

    sonde_context_release(caller);
    sonde_span_set_kind(span, SONDE_KIND_SERVER);
    if (keep && strcmp(keep, "keep") == 0)
        sonde_span_keep(span);
    if (keep && strcmp(keep, "drop") == 0)
        sonde_span_drop(span);
    if (keep)
        sonde_span_set_baggage(span, "user.id", "ann-7");
    sonde_span_trace_id_hex(span, trace);
    if (chain && *chain)
        call(chain, &next);
    if (sonde_span_baggage(span, "user.id", user, sizeof(user)) == 0)
        user[0] = '\0';
    if (next.len > 2 && next.text[0] == '[')
        next.text[0] = ',';
    else
        (void)snprintf(next.text, sizeof(next.text), "]");
    out->len = (size_t)snprintf(out->text, sizeof(out->text),
                                "[{\"by\":\"c\",\"trace\":\"%s\",\"span\":\"%" PRIu64
                                "\",\"user\":\"%s\"}%s",
                                trace, sonde_span_id(span), user, next.text);
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *body,
                                  size_t *body_len, void **seen)
{
    struct MHD_Response *response;
    enum MHD_Result queued;
    answer out = { .len = 0 };

    (void)user, (void)path, (void)method, (void)version, (void)body, (void)body_len;
    if (!*seen) {
        *seen = connection;
        return MHD_YES;
    }
    serve(connection, &out);
    response = MHD_create_response_from_buffer(out.len, out.text, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    queued = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return queued;
}

int main(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    const union MHD_DaemonInfo *bound;
    struct MHD_Daemon *daemon;
    sigset_t set;
    int sig;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    sonde_start(NULL);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    daemon =
        MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL,
                         NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
    if (!daemon)
        return 1;
    bound = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    printf("listening on 127.0.0.1:%u\n", bound ? bound->port : 0u);
    (void)fflush(stdout);
    (void)sigwait(&set, &sig);
    MHD_stop_daemon(daemon);
    sonde_stop();
    curl_global_cleanup();
    return 0;
}
