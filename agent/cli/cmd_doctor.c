/* cmd_doctor.c - `sonde doctor`: the way of one trace, step by step, until something is wrong.
 *
 *   configuration ─▶ resolve ─▶ connect ─▶ info ─▶ probe ─▶ statistics ─▶ delivery ─▶ intake
 *
 * Each step needs the one before; what comes after a failed one is skipped, so that the first failure
 * named is the cause.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/ops/flat.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/rng.h"
#include "codec/json_read.h"
#include "net/socket.h"
#include "vocab/headers.h"

#include "agent_client.h"
#include "cli.h"
#include "findings.h"

#define CONNECT_NS     (UINT64_C(3) * SONDE_NS_PER_S)
#define POLL_NS        (UINT64_C(100) * SONDE_NS_PER_MS)
#define PATIENCE_NS    (UINT64_C(20) * SONDE_NS_PER_S)
#define TEXT_MAX_BYTES (256u * 1024)
#define BODY_MAX_BYTES 2048
#define ENDPOINTS_MAX  16
#define SERVICE        "sonde-doctor"

static const char help[] =
    "Usage: sonde doctor [OPTION]...\n"
    "\n"
    "Follows one trace from this machine to the intake: resolves and connects to the\n"
    "agent, reads its /info, sends a trace of service \"" SERVICE "\", sees it counted in the\n"
    "statistics, delivered, and in local mode found in the store.  Names the first step\n"
    "that fails and what to do about it.\n"
    "\n"
    "  -c, --config FILE     read FILE (default /etc/sonde/datadog.yaml, if there)\n"
    "  -p, --port N          TCP port of the agent (8126)\n"
    "      --socket PATH     ask over this Unix socket instead\n"
    "      --no-probe        send no trace: stop after /info\n"
    "      --wait TIME       how long the trace may take to arrive (20s)\n"
    "      --json            print the steps as JSON\n"
    "  -h, --help            print this text, then exit\n"
    "\n"
    "Exits with 0 when every step worked and 1 when one failed.\n";

enum { OPT_CONFIG, OPT_PORT, OPT_SOCKET, OPT_NO_PROBE, OPT_WAIT, OPT_JSON };

static const cli_option options[] = {
    [OPT_CONFIG] = { 'c', "config", NULL, NULL },
    [OPT_PORT] = { 'p', "port", "DD_APM_RECEIVER_PORT", NULL },
    [OPT_SOCKET] = { 0, "socket", NULL, NULL },
    [OPT_NO_PROBE] = { 0, "no-probe", NULL, "1" },
    [OPT_WAIT] = { 0, "wait", NULL, NULL },
    [OPT_JSON] = { 0, "json", NULL, "1" },
};

/* Where the agent is with one trace, from its status document. */
typedef struct progress {
    bool is_sonde;
    double counted; /* spans in the statistics */
    double delivered[ENDPOINTS_MAX];
    double http_status[ENDPOINTS_MAX];
    size_t endpoints;
} progress;

typedef struct doctor {
    const agent_config *config;
    agent_client agent;
    findings found;
    progress before;
    uint64_t patience_ns;
    uint64_t trace_id;
} doctor;

static bool failed(doctor *d)
{
    return findings_failed(&d->found);
}

static void skip(doctor *d, const char *step, const char *why)
{
    findings_add(&d->found, step, FINDING_SKIPPED, NULL, "%s", why);
}

static void check_configuration(doctor *d)
{
    const agent_config *c = d->config;
    const char *file = c->file.len ? c->file.ptr : "no file";

    if (c->warnings_len)
        findings_add(&d->found, "configuration", FINDING_WARNING,
                     "run `sonde agent --check-config` and correct what it warns about",
                     "%s, %zu warnings, the first: %.*s", file, c->warnings_len,
                     SONDE_STR_ARG(c->warnings[0]));
    else
        findings_add(&d->found, "configuration", FINDING_OK, NULL, "%s, nothing to warn about",
                     file);
}

/* "" when it resolves, else why not. */
static const char *resolve(const char *host)
{
    struct addrinfo *list = NULL;
    int error = getaddrinfo(host, NULL, NULL, &list);

    if (error)
        return gai_strerror(error);
    freeaddrinfo(list);
    return "";
}

static void check_resolve(doctor *d)
{
    const char *why;

    if (d->agent.url.scheme == SONDE_URL_UNIX) {
        skip(d, "resolve", "a Unix socket has no name to resolve");
        return;
    }
    why = resolve(d->agent.url.host);
    if (*why)
        findings_add(&d->found, "resolve", FINDING_FAILED,
                     "correct bind_host (DD_BIND_HOST), or the name in DNS or /etc/hosts", "%s: %s",
                     d->agent.url.host, why);
    else
        findings_add(&d->found, "resolve", FINDING_OK, NULL, "%s", d->agent.url.host);
}

static void check_connect(doctor *d)
{
    const char *fix =
        "start the agent with `sonde agent` (or systemctl start sonde-agent), or name its "
        "address with --port or --socket";
    int fd = -1;

    if (failed(d)) {
        skip(d, "connect", "no address");
        return;
    }
    errno = 0;
    if (sonde_connect(&d->agent.url, sonde_deadline(sonde_mono_ns(), CONNECT_NS), &fd) ==
        SONDE_OK) {
        findings_add(&d->found, "connect", FINDING_OK, NULL, "%s", d->agent.address);
        (void)close(fd);
        return;
    }
    if (errno == EACCES)
        fix =
            "run as a user who may write to the socket; its directory must be open to search, too";
    findings_add(&d->found, "connect", FINDING_FAILED, fix, "%s: %s", d->agent.address,
                 errno ? strerror(errno) : "no answer in time");
}

/* The text behind "key" at the top of a JSON object; "" none. */
static void read_text(sonde_str json, sonde_str key, char *out, size_t cap)
{
    sonde_json_reader r;
    sonde_json_event e;

    out[0] = '\0';
    sonde_json_reader_init(&r, json, TEXT_MAX_BYTES);
    if (sonde_json_next(&r) == SONDE_JSON_OBJECT)
        while (sonde_json_next(&r) == SONDE_JSON_KEY) {
            bool wanted = sonde_str_eq(r.text, key);

            e = sonde_json_next(&r);
            if (wanted && e == SONDE_JSON_STRING)
                (void)snprintf(out, cap, "%.*s", SONDE_STR_ARG(r.text));
            if (wanted || !sonde_json_skip(&r, e))
                break;
        }
    sonde_json_reader_done(&r);
}

static void check_info(doctor *d)
{
    sonde_http_plain_answer answer;
    char version[64];
    sonde_status status;

    if (failed(d)) {
        skip(d, "info", "no connection");
        return;
    }
    status = agent_client_get(&d->agent, "/info", &answer);
    if (status != SONDE_OK) {
        findings_add(&d->found, "info", FINDING_FAILED,
                     "something else listens there, or the agent hangs: see its log",
                     "GET /info: %s", sonde_status_str(status));
        return;
    }
    read_text(answer.body, SONDE_STR("version"), version, sizeof(version));
    if (answer.status == 200 && version[0])
        findings_add(&d->found, "info", FINDING_OK, NULL, "a trace agent, version %s", version);
    else
        findings_add(&d->found, "info", FINDING_FAILED,
                     "another program listens there: stop it, or give the agent another port",
                     "GET /info gave status %d and no version", answer.status);
}

/* -- the probe ------------------------------------------------------------------------------------- */

static void see_number(void *user, sonde_str path, double value)
{
    progress *p = user;
    sonde_str index;
    uint64_t i;

    if (sonde_str_eq(path, SONDE_STR("stats.spans_counted")))
        p->counted = value;
    if (!sonde_str_eq(sonde_str_cut(&path, '.'), SONDE_STR("forwarder")))
        return;
    index = sonde_str_cut(&path, '.');
    if (sonde_parse_u64(index, &i) != SONDE_OK || i >= ENDPOINTS_MAX)
        return;
    if (i >= p->endpoints)
        p->endpoints = (size_t)i + 1;
    if (sonde_str_eq(path, SONDE_STR("traces.delivered.items")))
        p->delivered[i] = value;
    if (sonde_str_eq(path, SONDE_STR("last_http_status")))
        p->http_status[i] = value;
}

static void look(doctor *d, progress *out)
{
    sonde_http_plain_answer answer;

    memset(out, 0, sizeof(*out));
    if (agent_client_get(&d->agent, AGENT_STATUS_PATH, &answer) == SONDE_OK && answer.status == 200)
        out->is_sonde = flat_walk(answer.body, see_number, out) == SONDE_OK;
}

static int probe_body(const doctor *d, char *out, size_t cap)
{
    return snprintf(
        out, cap,
        "[[{\"trace_id\":%llu,\"span_id\":%llu,\"parent_id\":0,\"name\":\"sonde.doctor\","
        "\"resource\":\"probe\",\"service\":\"" SERVICE "\",\"type\":\"custom\",\"start\":%lld,"
        "\"duration\":1000000,\"error\":0,\"meta\":{\"_dd.p.dm\":\"-4\"},"
        "\"metrics\":{\"_sampling_priority_v1\":2,\"_top_level\":1}}]]",
        (unsigned long long)d->trace_id, (unsigned long long)d->trace_id,
        (long long)sonde_unix_ns());
}

static void check_probe(doctor *d)
{
    const sonde_http_header headers[] = {
        { SONDE_STR("Content-Type"), SONDE_STR("application/json") },
        { SONDE_STR(SONDE_HDR_TRACE_COUNT), SONDE_STR("1") },
        { SONDE_STR(SONDE_HDR_REAL_STATUS), SONDE_STR("true") },
    };
    char body[BODY_MAX_BYTES];
    sonde_http_plain_request request = { .method = "PUT",
                                         .path = "/v0.4/traces",
                                         .headers = headers,
                                         .headers_len = sizeof(headers) / sizeof(headers[0]),
                                         .deadline_mono_ns = sonde_mono_ns() + 2 * CONNECT_NS };
    sonde_http_plain_answer answer;
    sonde_status status;

    d->trace_id = (sonde_random_u64() >> 2) | 1;
    look(d, &d->before);
    request.body = (sonde_str){ body, (size_t)probe_body(d, body, sizeof(body)) };
    status = sonde_http_plain_send(d->agent.http, &request, &answer);
    if (status != SONDE_OK)
        findings_add(&d->found, "probe", FINDING_FAILED, "see the agent's log",
                     "PUT /v0.4/traces: %s", sonde_status_str(status));
    else if (answer.status != 200)
        findings_add(&d->found, "probe", FINDING_FAILED,
                     answer.status == 429
                         ? "the agent is overloaded: `sonde status` shows what is full"
                         : "see the agent's log",
                     "the trace was refused with status %d", answer.status);
    else
        findings_add(&d->found, "probe", FINDING_OK, NULL, "the agent took trace %llu",
                     (unsigned long long)d->trace_id);
}

static void pause_a_little(void)
{
    struct timespec t = sonde_ns_to_timespec(POLL_NS);

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static void check_statistics(doctor *d, uint64_t until)
{
    progress now;

    do {
        look(d, &now);
        if (now.counted > d->before.counted) {
            findings_add(&d->found, "statistics", FINDING_OK, NULL, "the span was counted");
            return;
        }
        pause_a_little();
    } while (sonde_mono_ns() < until);
    findings_add(
        &d->found, "statistics", FINDING_FAILED,
        "the workers stand still or drop it: `sonde status` shows where (queue, processor)",
        "the span was not counted within %llu s",
        (unsigned long long)(d->patience_ns / SONDE_NS_PER_S));
}

/* -- the intakes ----------------------------------------------------------------------------------- */

/* The endpoint's address, as the agent reports it: the url of the n-th object of "forwarder". */
static void endpoint_url(doctor *d, size_t want, char *out, size_t cap)
{
    sonde_http_plain_answer answer;
    sonde_json_reader r;
    sonde_json_event e;
    bool in_forwarder = false, is_url = false;
    size_t i = 0;

    (void)snprintf(out, cap, "endpoint %zu", want);
    if (agent_client_get(&d->agent, AGENT_STATUS_PATH, &answer) != SONDE_OK)
        return;
    sonde_json_reader_init(&r, answer.body, TEXT_MAX_BYTES);
    while ((e = sonde_json_next(&r)) != SONDE_JSON_END && e != SONDE_JSON_ERROR) {
        if (e == SONDE_JSON_KEY && r.depth == 1)
            in_forwarder = sonde_str_eq(r.text, SONDE_STR("forwarder"));
        else if (is_url && e == SONDE_JSON_STRING && i++ == want)
            (void)snprintf(out, cap, "%.*s", SONDE_STR_ARG(r.text));
        is_url = e == SONDE_JSON_KEY && r.depth == 3 && in_forwarder &&
                 sonde_str_eq(r.text, SONDE_STR("url"));
    }
    sonde_json_reader_done(&r);
}

static const char *what_to_do(double http_status)
{
    if (http_status == 401 || http_status == 403)
        return "the intake does not accept the API key: check DD_API_KEY and that it belongs to "
               "DD_SITE";
    if (http_status == 404)
        return "there is no intake at that address: check DD_SITE or DD_APM_DD_URL";
    if (http_status == 413 || http_status == 400)
        return "the intake does not take what the agent sends: is it an intake for traces?";
    if (http_status >= 500 || http_status == 429 || http_status == 408)
        return "the intake is overloaded or broken; the agent goes on trying";
    return "the intake cannot be reached: check its address, DNS, the firewall and the proxy "
           "settings";
}

static void report_undelivered(doctor *d, size_t i, const progress *now)
{
    char url[256];

    endpoint_url(d, i, url, sizeof(url));
    findings_add(&d->found, "delivery", FINDING_FAILED, what_to_do(now->http_status[i]),
                 "%s: nothing was delivered, last HTTP status %d", url, (int)now->http_status[i]);
}

static void check_delivery(doctor *d, uint64_t until)
{
    progress now;
    size_t i, missing;

    do {
        look(d, &now);
        missing = now.endpoints;
        for (i = 0; i < now.endpoints; i++)
            missing -= now.delivered[i] > d->before.delivered[i];
        if (!missing) {
            findings_add(&d->found, "delivery", FINDING_OK, NULL, "%zu of %zu intakes took it",
                         now.endpoints, now.endpoints);
            return;
        }
        pause_a_little();
    } while (sonde_mono_ns() < until);
    for (i = 0; i < now.endpoints; i++)
        if (now.delivered[i] <= d->before.delivered[i])
            report_undelivered(d, i, &now);
}

static bool found_in_store(sonde_http_plain *intake)
{
    static const char search[] =
        "{\"data\":{\"type\":\"search_request\",\"attributes\":{\"filter\":{\"query\":"
        "\"service:" SERVICE "\",\"from\":\"now-15m\",\"to\":\"now\"},\"page\":{\"limit\":1}}}}";
    const sonde_http_header header = { SONDE_STR("Content-Type"), SONDE_STR("application/json") };
    const sonde_http_plain_request request = { .method = "POST",
                                               .path = "/api/v2/spans/events/search",
                                               .headers = &header,
                                               .headers_len = 1,
                                               .body = SONDE_STR(search),
                                               .deadline_mono_ns = sonde_mono_ns() + CONNECT_NS };
    sonde_http_plain_answer answer;
    size_t at;

    return sonde_http_plain_send(intake, &request, &answer) == SONDE_OK && answer.status == 200 &&
           sonde_str_find(answer.body, SONDE_STR("\"" SERVICE "\""), &at);
}

static void check_intake(doctor *d, uint64_t until)
{
    sonde_http_plain *intake = NULL;
    char address[300];
    sonde_url url;

    (void)snprintf(address, sizeof(address), "http://%.*s:%d", SONDE_STR_ARG(d->config->local_host),
                   (int)d->config->local_port);
    if (sonde_url_parse(sonde_str_from(address), &url, NULL) != SONDE_OK ||
        sonde_http_plain_open(&url, AGENT_ANSWER_MAX_BYTES, &intake) != SONDE_OK) {
        skip(d, "intake", "no address");
        return;
    }
    for (;;) {
        if (found_in_store(intake)) {
            findings_add(&d->found, "intake", FINDING_OK, NULL, "the trace is in the store; see %s",
                         address);
            break;
        }
        if (sonde_mono_ns() >= until) {
            findings_add(&d->found, "intake", FINDING_FAILED,
                         "see the agent's log: is the disk of sonde.data_dir full or read-only?",
                         "%s does not find the trace", address);
            break;
        }
        pause_a_little();
    }
    sonde_http_plain_close(intake);
}

/* -- all of it ------------------------------------------------------------------------------------- */

static void follow_probe(doctor *d)
{
    uint64_t until;

    if (failed(d)) {
        skip(d, "probe", "no agent to send it to");
        return;
    }
    check_probe(d);
    if (failed(d))
        return;
    if (!d->before.is_sonde) {
        skip(d, "statistics", "not a Sonde agent: what it does with the trace cannot be seen");
        return;
    }
    until = sonde_deadline(sonde_mono_ns(), d->patience_ns);
    check_statistics(d, until);
    if (!failed(d))
        check_delivery(d, until);
    if (!failed(d) && d->config->local_mode)
        check_intake(d, until);
}

static void examine(doctor *d, bool probe)
{
    check_configuration(d);
    check_resolve(d);
    check_connect(d);
    check_info(d);
    if (probe)
        follow_probe(d);
}

static int print(const findings *f, bool json)
{
    sonde_buf text;
    bool ok;

    sonde_buf_init(&text, TEXT_MAX_BYTES);
    if (json)
        findings_json(f, &text);
    else
        findings_text(f, cli_in_colour(), &text);
    ok = text.status == SONDE_OK && fwrite(text.data, 1, text.len, stdout) == text.len;
    sonde_buf_done(&text);
    return ok && !findings_failed(f) ? EXIT_DONE : EXIT_FAILED;
}

static int diagnose(const command *self, agent_config *c, const cli_line *line)
{
    static doctor d; /* its findings are large */
    sonde_error error = { 0 };
    sonde_status status;
    int code;

    d = (doctor){ .config = c, .patience_ns = PATIENCE_NS };
    if (line->values[OPT_WAIT] &&
        sonde_parse_duration_ns(sonde_str_from(line->values[OPT_WAIT]), SONDE_NS_PER_S,
                                &d.patience_ns) != SONDE_OK)
        return cli_fail(self, "--wait %s: expected a time, such as 20s", line->values[OPT_WAIT]);
    status = agent_client_open(&d.agent, c, line->values[OPT_SOCKET], &error);
    if (status != SONDE_OK)
        return cli_fail(self, "%s: %s", d.agent.address,
                        error.message[0] ? error.message : sonde_status_str(status));
    examine(&d, !line->values[OPT_NO_PROBE]);
    code = print(&d.found, line->values[OPT_JSON] != NULL);
    agent_client_close(&d.agent);
    return code;
}

const command doctor_command = { .name = "doctor",
                                 .summary = "why traces do not arrive, and what to do about it",
                                 .help = help,
                                 CLI_OPTIONS(options),
                                 .run = cli_run,
                                 .work = diagnose };
