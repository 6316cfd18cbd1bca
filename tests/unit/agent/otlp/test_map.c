/* test_map.c - names, types, tags and numbers of spans, one row a rule of docs/spec/otlp.md.
 *
 * Requests are written as JSON; that protobuf says the same is test_read.c's subject. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/otlp/read.h"
#include "support/test.h"

/* Attributes are written "key=text;key=#1;key=@1.5;key=!true". */
static void put_attrs(sonde_buf *out, const char *attrs)
{
    sonde_str rest = sonde_str_from(attrs);
    const char *comma = "";

    sonde_buf_printf(out, "[");
    while (rest.len) {
        sonde_str value = sonde_str_cut(&rest, ';');
        sonde_str key = sonde_str_cut(&value, '=');
        char sign = value.len ? value.ptr[0] : ' ';

        sonde_buf_printf(out, "%s{\"key\":\"%.*s\",\"value\":{", comma, (int)key.len, key.ptr);
        comma = ",";
        if (sign == '#' || sign == '@' || sign == '!')
            sonde_buf_printf(out, "\"%s\":%.*s}}",
                             sign == '#'   ? "intValue"
                             : sign == '@' ? "doubleValue"
                                           : "boolValue",
                             (int)value.len - 1, value.ptr + 1);
        else
            sonde_buf_printf(out, "\"stringValue\":\"%.*s\"}}", (int)value.len, value.ptr);
    }
    sonde_buf_printf(out, "]");
}

typedef struct spoken {
    const char *resource; /* attributes */
    const char *attrs;
    int kind;
    const char *more; /* further fields of the span, with a comma before */
} spoken;

static otlp_build_options options = { .rate = 1, .max_arena_bytes = 1 << 20 };
static otlp_builder b;
static sonde_buf body;

static payload *map(spoken s)
{
    payload *p;

    sonde_buf_init(&body, 1 << 20);
    sonde_buf_printf(&body, "{\"resourceSpans\":[{\"resource\":{\"attributes\":");
    put_attrs(&body, s.resource ? s.resource : "");
    sonde_buf_printf(&body,
                     "},\"scopeSpans\":[{\"spans\":[{\"traceId\":"
                     "\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"1112131415161718\","
                     "\"name\":\"span name\",\"startTimeUnixNano\":\"1000\","
                     "\"endTimeUnixNano\":\"1500\",\"kind\":%d,\"attributes\":",
                     s.kind);
    put_attrs(&body, s.attrs ? s.attrs : "");
    sonde_buf_printf(&body, "%s}]}]}]}", s.more ? s.more : "");
    otlp_build_init(&b, &options, body.len);
    if (otlp_read_json(&b, sonde_buf_str(&body)) != SONDE_OK)
        fail_msg("%s: %s", b.error, sonde_buf_cstr(&body));
    p = otlp_build_take(&b);
    assert_non_null(p);
    assert_int_equal(p->chunks_len, 1);
    assert_int_equal(p->chunks[0].spans_len, 1);
    return p;
}

static void unmap(payload *p)
{
    payload_free(p);
    otlp_build_done(&b);
    sonde_buf_done(&body);
}

static void expect_text(const char *what, sonde_str got, const char *want)
{
    if (!sonde_str_eq(got, sonde_str_from(want)))
        fail_msg("%s: got \"%.*s\", want \"%s\"", what, (int)got.len, got.ptr ? got.ptr : "", want);
}

enum { UNSPECIFIED, INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER };

static void the_operation_name_follows_the_first_rule_that_applies(void **state)
{
    static const struct {
        int kind;
        const char *attrs;
        const char *want;
    } rows[] = {
        { SERVER, "operation.name=My Op;http.method=GET", "my_op" },
        { SERVER, "http.request.method=GET", "http.server.request" },
        { CLIENT, "http.method=GET;db.system=mysql", "http.client.request" },
        { INTERNAL, "http.method=GET", "Internal" },
        { CLIENT, "db.system=PostgreSQL", "postgresql.query" },
        { SERVER, "db.system=mysql", "server.request" },
        { CLIENT, "messaging.system=kafka;messaging.operation=publish", "kafka.publish" },
        { SERVER, "messaging.system=kafka;messaging.operation=process", "kafka.process" },
        { PRODUCER, "messaging.system=kafka;messaging.operation=send", "kafka.send" },
        { CONSUMER, "messaging.system=kafka;messaging.operation=receive", "kafka.receive" },
        { INTERNAL, "messaging.system=kafka;messaging.operation=receive", "Internal" },
        { CONSUMER, "messaging.system=kafka", "Consumer" },
        { CLIENT, "rpc.system=aws-api;rpc.service=S3", "aws.s3.request" },
        { CLIENT, "rpc.system=aws-api", "aws.client.request" },
        { SERVER, "rpc.system=aws-api", "aws-api.server.request" },
        { CLIENT, "rpc.system=grpc", "grpc.client.request" },
        { SERVER, "rpc.system=grpc", "grpc.server.request" },
        { CLIENT, "faas.invoked_provider=aws;faas.invoked_name=f", "aws.f.invoke" },
        { CLIENT, "faas.invoked_provider=aws", "client.request" },
        { SERVER, "faas.trigger=http", "http.invoke" },
        { INTERNAL, "graphql.operation.type=query", "graphql.server.request" },
        { SERVER, "network.protocol.name=amqp", "amqp.server.request" },
        { CLIENT, "network.protocol.name=amqp", "amqp.client.request" },
        { SERVER, "", "server.request" },
        { CLIENT, "", "client.request" },
        { INTERNAL, "", "Internal" },
        { PRODUCER, "", "Producer" },
        { CONSUMER, "", "Consumer" },
        { UNSPECIFIED, "", "Internal" },
        { SERVER, "operation.name=;http.method=", "server.request" }, /* empty says nothing */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        payload *p = map((spoken){ .kind = rows[i].kind, .attrs = rows[i].attrs });

        expect_text(rows[i].attrs, p->chunks[0].spans[0].name, rows[i].want);
        unmap(p);
    }
}

static void the_resource_name_follows_the_first_rule_that_applies(void **state)
{
    static const struct {
        int kind;
        const char *attrs;
        const char *want;
    } rows[] = {
        { SERVER, "resource.name=Mine;http.method=GET", "Mine" },
        { SERVER, "http.request.method=GET;http.route=/a/{id}", "GET /a/{id}" },
        { CLIENT, "http.request.method=GET;http.route=/a/{id}", "GET" },
        { SERVER, "http.method=_OTHER;http.route=/x", "HTTP /x" },
        { SERVER, "http.method=POST", "POST" },
        { CONSUMER, "messaging.operation=receive;messaging.destination=q", "receive q" },
        { CONSUMER, "messaging.operation=receive;messaging.destination.name=q", "receive q" },
        { CONSUMER, "messaging.operation=receive", "receive" },
        { CLIENT, "rpc.method=Get;rpc.service=Shop", "Get Shop" },
        { CLIENT, "rpc.method=Get", "Get" },
        { SERVER, "graphql.operation.type=query;graphql.operation.name=Q", "query Q" },
        { CLIENT, "db.system=mysql;db.statement=select 1;db.query.text=no", "select 1" },
        { CLIENT, "db.system=mysql;db.query.text=select 2", "select 2" },
        { CLIENT, "db.statement=select 1", "span name" },
        { INTERNAL, "", "span name" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        payload *p = map((spoken){ .kind = rows[i].kind, .attrs = rows[i].attrs });

        expect_text(rows[i].attrs, p->chunks[0].spans[0].resource, rows[i].want);
        unmap(p);
    }
}

static void a_long_resource_name_is_cut_between_characters(void **state)
{
    char attrs[5200] = "resource.name=";
    payload *p;

    (void)state;
    memset(attrs + 14, 'a', 4999);
    memcpy(attrs + 14 + 4999, "\xc3\xa9zz", 5);
    p = map((spoken){ .attrs = attrs });
    assert_int_equal(p->chunks[0].spans[0].resource.len, 4999);
    unmap(p);
}

static void the_type_follows_attribute_kind_and_database(void **state)
{
    static const struct {
        int kind;
        const char *attrs;
        const char *want;
    } rows[] = {
        { SERVER, "span.type=mine", "mine" },
        { SERVER, "", "web" },
        { CLIENT, "", "http" },
        { CLIENT, "db.system=postgresql", "sql" },
        { CLIENT, "db.system=mariadb", "sql" },
        { CLIENT, "db.system=db2", "sql" },
        { CLIENT, "db.system=redis", "redis" },
        { CLIENT, "db.system=cassandra", "cassandra" },
        { CLIENT, "db.system=memcached", "memcached" },
        { CLIENT, "db.system=mongodb", "mongodb" },
        { CLIENT, "db.system=elasticsearch", "elasticsearch" },
        { CLIENT, "db.system=opensearch", "opensearch" },
        { CLIENT, "db.system=neo4j", "db" },
        { INTERNAL, "db.system=redis", "custom" },
        { PRODUCER, "", "custom" },
        { UNSPECIFIED, "", "custom" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        payload *p = map((spoken){ .kind = rows[i].kind, .attrs = rows[i].attrs });

        expect_text(rows[i].attrs, p->chunks[0].spans[0].type, rows[i].want);
        unmap(p);
    }
}

#define SPAN(a)     .attrs = (a)
#define RESOURCE(r) .resource = (r)
#define MORE(m)     .more = (m)
#define ABSENT      NULL

static const struct {
    const char *label;
    spoken said;
    const char *key;
    const char *want;
} tag_rows[] = {
    { "string", { SPAN("a=b") }, "a", "b" },
    { "bool", { SPAN("a=!true") }, "a", "true" },
    { "false", { SPAN("a=!false") }, "a", "false" },
    { "number is no tag", { SPAN("a=#1") }, "a", ABSENT },
    { "resource", { RESOURCE("r=x"), SPAN("") }, "r", "x" },
    { "resource number", { RESOURCE("r=#5") }, "r", "5" },
    { "resource double", { RESOURCE("r=@1.5") }, "r", "1.5" },
    { "span before resource", { RESOURCE("a=r"), SPAN("a=s") }, "a", "s" },
    { "no tag: service",
      { RESOURCE("service.name=s"), SPAN("service.name=t") },
      "service.name",
      ABSENT },
    { "no tag: operation", { SPAN("operation.name=t") }, "operation.name", ABSENT },
    { "no tag: resource", { SPAN("resource.name=t") }, "resource.name", ABSENT },
    { "no tag: type", { SPAN("span.type=t") }, "span.type", ABSENT },
    { "renamed", { SPAN("client.address=1.2.3.4") }, "http.client_ip", "1.2.3.4" },
    { "old name gone", { SPAN("client.address=1.2.3.4") }, "client.address", ABSENT },
    { "renamed", { SPAN("http.response.body.size=7") }, "http.response.content_length", "7" },
    { "renamed", { SPAN("http.request.body.size=7") }, "http.request.content_length", "7" },
    { "renamed", { SPAN("http.response.status_code=x") }, "http.status_code", "x" },
    { "renamed", { SPAN("http.request.method=GET") }, "http.method", "GET" },
    { "renamed", { SPAN("http.request.header.referrer=u") }, "http.referrer", "u" },
    { "renamed", { SPAN("http.request.header.x-a=u") }, "http.request.headers.x-a", "u" },
    { "renamed", { SPAN("network.protocol.version=2") }, "http.version", "2" },
    { "renamed", { SPAN("server.address=h") }, "http.server_name", "h" },
    { "renamed", { SPAN("url.full=u") }, "http.url", "u" },
    { "renamed", { SPAN("user_agent.original=u") }, "http.useragent", "u" },
    { "version", { RESOURCE("service.version=1") }, "version", "1" },
    { "version keeps its key", { RESOURCE("service.version=1") }, "service.version", "1" },
    { "version of its own", { RESOURCE("service.version=1"), SPAN("version=2") }, "version", "2" },
    { "env", { RESOURCE("deployment.environment.name=p") }, "env", "p" },
    { "old env", { RESOURCE("deployment.environment=p") }, "env", "p" },
    { "new env first",
      { RESOURCE("deployment.environment=o;deployment.environment.name=n") },
      "env",
      "n" },
    { "db.name", { SPAN("db.namespace=d") }, "db.name", "d" },
    { "db.name there", { SPAN("db.namespace=d;db.name=e") }, "db.name", "e" },
    { "trace id", { SPAN("") }, "otel.trace_id", "0102030405060708090a0b0c0d0e0f10" },
    { "kind", { .kind = SERVER }, "span.kind", "server" },
    { "kind", { .kind = INTERNAL }, "span.kind", "internal" },
    { "kind", { .kind = CLIENT }, "span.kind", "client" },
    { "kind", { .kind = PRODUCER }, "span.kind", "producer" },
    { "kind", { .kind = CONSUMER }, "span.kind", "consumer" },
    { "kind", { .kind = UNSPECIFIED }, "span.kind", "unspecified" },
    { "unknown kind", { .kind = 77 }, "span.kind", "unspecified" },
    { "status", { SPAN("") }, "otel.status_code", "Unset" },
    { "status", { MORE(",\"status\":{\"code\":1}") }, "otel.status_code", "Ok" },
    { "status",
      { MORE(",\"status\":{\"code\":2,\"message\":\"m\"}") },
      "otel.status_code",
      "Error" },
    { "status text",
      { MORE(",\"status\":{\"code\":2,\"message\":\"m\"}") },
      "otel.status_description",
      "m" },
    { "no status text", { SPAN("") }, "otel.status_description", ABSENT },
    { "tracestate", { MORE(",\"traceState\":\"a=b\"") }, "w3c.tracestate", "a=b" },
    { "error.msg", { MORE(",\"status\":{\"code\":2,\"message\":\"m\"}") }, "error.msg", "m" },
    { "error.msg of the status",
      { SPAN("http.status_code=#503"), MORE(",\"status\":{\"code\":2}") },
      "error.msg",
      "503 Service Unavailable" },
    { "an unknown status",
      { SPAN("http.status_code=#599"), MORE(",\"status\":{\"code\":2}") },
      "error.msg",
      "599" },
    { "error.msg there",
      { SPAN("error.msg=mine"), MORE(",\"status\":{\"code\":2,\"message\":\"m\"}") },
      "error.msg",
      "mine" },
    { "no error, no message",
      { MORE(",\"status\":{\"code\":1,\"message\":\"m\"}") },
      "error.msg",
      ABSENT },
    { "exception",
      { MORE(",\"status\":{\"code\":2},\"events\":[{\"name\":\"exception\",\"attributes\":[{"
             "\"key\":\"exception.type\",\"value\":{\"stringValue\":\"E\"}}]}]") },
      "error.type",
      "E" },
    { "exception flag",
      { MORE(",\"events\":[{\"name\":\"exception\"}]") },
      "_dd.span_events.has_exception",
      "true" },
    { "no exception",
      { MORE(",\"events\":[{\"name\":\"else\"}]") },
      "_dd.span_events.has_exception",
      ABSENT },
    { "events",
      { MORE(",\"events\":[{\"name\":\"e\",\"timeUnixNano\":\"17\",\"attributes\":[{\"key\":"
             "\"n\",\"value\":{\"intValue\":\"1\"}},{\"key\":\"s\",\"value\":{\"stringValue\":"
             "\"x\"}},{\"key\":\"l\",\"value\":{\"arrayValue\":{\"values\":[{\"stringValue\":"
             "\"p\"},{\"boolValue\":true}]}}}]},{\"name\":\"f\"}]") },
      "events",
      "[{\"name\":\"e\",\"time_unix_nano\":17,\"attributes\":{\"n\":1,\"s\":\"x\",\"l\":[\"p\","
      "true]}},{\"name\":\"f\"}]" },
    { "links",
      { MORE(",\"links\":[{\"traceId\":\"000000000000000000000000000004d2\",\"spanId\":"
             "\"000000000000162e\",\"attributes\":[{\"key\":\"k\",\"value\":{\"intValue\":3}}],"
             "\"traceState\":\"a=b\",\"flags\":257}]") },
      "_dd.span_links",
      "[{\"trace_id\":\"000000000000000000000000000004d2\",\"span_id\":\"000000000000162e\","
      "\"attributes\":{\"k\":\"3\"},\"tracestate\":\"a=b\",\"flags\":1}]" },
    { "list",
      { MORE(",\"attributes\":[{\"key\":\"l\",\"value\":{\"arrayValue\":{\"values\":[{"
             "\"intValue\":\"1\"},{\"doubleValue\":1.5},{\"kvlistValue\":{\"values\":[{\"key\":"
             "\"k\",\"value\":{\"stringValue\":\"v\"}}]}}]}}}]") },
      "l",
      "[1,1.5,{\"k\":\"v\"}]" },
    { "bytes",
      { MORE(",\"attributes\":[{\"key\":\"y\",\"value\":{\"bytesValue\":\"AQI=\"}}]") },
      "y",
      "AQI=" },
    { "priority as text stays", { SPAN("sampling.priority=2") }, "sampling.priority", "2" },
    { "analytics is no tag", { SPAN("analytics.event=true") }, "analytics.event", ABSENT },
};

static void tags_come_from_attributes_under_datadogs_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(tag_rows); i++) {
        payload *p = map(tag_rows[i].said);
        const sonde_str *got =
            span_meta_get(&p->chunks[0].spans[0], sonde_str_from(tag_rows[i].key));

        if (!got != !tag_rows[i].want)
            fail_msg("%s: %s is %s", tag_rows[i].label, tag_rows[i].key, got ? "there" : "absent");
        if (got)
            expect_text(tag_rows[i].label, *got, tag_rows[i].want);
        unmap(p);
    }
}

static void numbers_come_from_attributes(void **state)
{
    static const struct {
        const char *label;
        spoken said;
        const char *key;
        double want; /* -1: absent */
    } rows[] = {
        { "int", { SPAN("a=#3") }, "a", 3 },
        { "double", { SPAN("a=@2.5") }, "a", 2.5 },
        { "resource is text", { RESOURCE("a=#3") }, "a", -1 },
        { "status", { SPAN("http.status_code=#200") }, "http.status_code", 200 },
        { "new status", { SPAN("http.response.status_code=#201") }, "http.status_code", 201 },
        { "old before new",
          { SPAN("http.status_code=#200;http.response.status_code=#201") },
          "http.status_code",
          200 },
        { "status as text", { SPAN("http.status_code=404") }, "http.status_code", 404 },
        { "priority", { SPAN("sampling.priority=#2") }, "_sampling_priority_v1", 2 },
        { "analytics", { SPAN("analytics.event=!true") }, "_dd1.sr.eausr", 1 },
        { "analytics text", { SPAN("analytics.event=false") }, "_dd1.sr.eausr", 0 },
        { "analytics nonsense", { SPAN("analytics.event=perhaps") }, "_dd1.sr.eausr", -1 },
        { "renamed number",
          { SPAN("http.response.body.size=#9") },
          "http.response.content_length",
          9 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        payload *p = map(rows[i].said);
        const double *got = span_metric_get(&p->chunks[0].spans[0], sonde_str_from(rows[i].key));

        if ((got ? *got : -1) != rows[i].want)
            fail_msg("%s: got %g, want %g", rows[i].label, got ? *got : -1, rows[i].want);
        unmap(p);
    }
}

static void a_span_has_its_ids_times_and_error(void **state)
{
    payload *p =
        map((spoken){ .more = ",\"parentSpanId\":\"00000000000000AB\",\"status\":{\"code\":"
                              "\"STATUS_CODE_ERROR\"}" });
    const payload_span *s = &p->chunks[0].spans[0];

    (void)state;
    assert_true(s->trace_id == UINT64_C(0x090a0b0c0d0e0f10));
    assert_true(s->span_id == UINT64_C(0x1112131415161718));
    assert_true(s->parent_id == 0xab);
    assert_int_equal(s->start, 1000);
    assert_int_equal(s->duration, 500);
    assert_int_equal(s->error, 1);
    unmap(p);
}

static void the_service_is_normalised_and_has_a_default(void **state)
{
    static const struct {
        const char *resource, *attrs, *want;
    } rows[] = {
        { "", "", "otlpresourcenoservicename" },
        { "service.name=My Shop!", "", "my_shop" },
        { "service.name=shop", "service.name=Span's", "span_s" },
        { "service.name=", "", "otlpresourcenoservicename" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        payload *p = map((spoken){ .resource = rows[i].resource, .attrs = rows[i].attrs });

        expect_text(rows[i].resource, p->chunks[0].spans[0].service, rows[i].want);
        unmap(p);
    }
}

static void the_payload_says_what_the_resource_says(void **state)
{
    payload *p;

    (void)state;
    options.hostname = SONDE_STR("agent-host");
    p = map((spoken){ .resource = "deployment.environment.name=prod;container.id=c1;k8s.pod.uid=u;"
                                  "telemetry.sdk.language=cpp;telemetry.sdk.version=1.9" });
    expect_text("env", p->env, "prod");
    expect_text("container", p->container_id, "c1");
    expect_text("language", p->language_name, "cpp");
    expect_text("tracer", p->tracer_version, "otlp-1.9");
    expect_text("host", p->hostname, "agent-host");
    assert_false(p->client_computed_stats);
    assert_false(p->client_computed_top_level);
    unmap(p);
    p = map((spoken){ .resource = "k8s.pod.uid=u;host.name=h;_dd.stats_computed=true" });
    expect_text("container", p->container_id, "u");
    expect_text("host", p->hostname, "h");
    expect_text("tracer", p->tracer_version, "otlp-");
    assert_true(p->client_computed_stats);
    unmap(p);
}

static void expect_decision(const char *label, payload *p, int priority, const char *maker,
                            const char *rate)
{
    payload_chunk *c = &p->chunks[0];
    const sonde_str *dm = span_meta_get(&c->spans[0], SONDE_STR("_dd.p.dm"));

    if (c->priority != priority)
        fail_msg("%s: priority %d, want %d", label, c->priority, priority);
    expect_text(label, dm ? *dm : (sonde_str){ NULL, 0 }, maker);
    assert_int_equal(c->tags_len, 1);
    expect_text(label, c->tags[0].key, "_dd.otlp_sr");
    expect_text(label, c->tags[0].value, rate);
    unmap(p);
}

static void a_chunk_has_a_priority_and_who_decided(void **state)
{
    (void)state;
    expect_decision("all kept", map((spoken){ .kind = 1 }), 1, "-9", "1.00");
    expect_decision("asked", map((spoken){ .attrs = "sampling.priority=#2" }), 2, "-4", "1.00");
    expect_decision("asked not to", map((spoken){ .attrs = "sampling.priority=#0" }), 0, "",
                    "1.00");
    /* 0x090a0b0c0d0e0f10 * 1111111111111111111 mod 2^64 = 0x5210a31c92d3c570: 0.3206 of 2^64 */
    options.rate = 0.33;
    expect_decision("just kept", map((spoken){ .kind = 1 }), 1, "-9", "0.33");
    options.rate = 0.32;
    expect_decision("just dropped", map((spoken){ .kind = 1 }), 0, "", "0.32");
    options.rate = 1;
    options.leave_undecided = true;
    expect_decision("undecided", map((spoken){ .attrs = "sampling.priority=#2" }), PRIORITY_NONE,
                    "", "1.00");
    options.leave_undecided = false;
}

static void a_span_of_very_many_attributes_keeps_as_many_as_fit(void **state)
{
    static char attrs[100000];
    size_t len = 0;
    payload *p;

    (void)state;
    for (int i = 0; i < 5000; i++)
        len += (size_t)snprintf(attrs + len, sizeof(attrs) - len, "k%d=v;", i % 4500);
    p = map((spoken){ .attrs = attrs, .resource = "r=1" });
    assert_int_equal(p->chunks[0].spans[0].meta_len, SPAN_ENTRIES_MAX + 1); /* who decided */
    assert_true(b.tally.tags_cut > 904);
    unmap(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_operation_name_follows_the_first_rule_that_applies),
        cmocka_unit_test(the_resource_name_follows_the_first_rule_that_applies),
        cmocka_unit_test(a_long_resource_name_is_cut_between_characters),
        cmocka_unit_test(the_type_follows_attribute_kind_and_database),
        cmocka_unit_test(tags_come_from_attributes_under_datadogs_names),
        cmocka_unit_test(numbers_come_from_attributes),
        cmocka_unit_test(a_span_has_its_ids_times_and_error),
        cmocka_unit_test(the_service_is_normalised_and_has_a_default),
        cmocka_unit_test(the_payload_says_what_the_resource_says),
        cmocka_unit_test(a_chunk_has_a_priority_and_who_decided),
        cmocka_unit_test(a_span_of_very_many_attributes_keeps_as_many_as_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
