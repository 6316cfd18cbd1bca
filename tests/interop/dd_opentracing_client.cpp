// The program of dd_trace_client.cjs in C++, traced by the older of Datadog's libraries for it, which Debian has.
#include <cstdlib>

#include <datadog/opentracing.h>

int main()
{
    datadog::opentracing::TracerOptions options;

    options.agent_url = std::getenv("DD_TRACE_AGENT_URL");
    options.service = std::getenv("DD_SERVICE");
    options.environment = std::getenv("DD_ENV");
    auto tracer = datadog::opentracing::makeTracer(options);

    auto web = tracer->StartSpan("web.request");
    web->SetTag("resource.name", "GET /items/{id}");
    web->SetTag("span.type", "web");
    web->SetTag("span.kind", "server");
    web->SetTag("http.status_code", 200);
    web->SetTag("item.weight", 2.5);
    auto query = tracer->StartSpan("pg.query", { opentracing::ChildOf(&web->context()) });
    query->SetTag("resource.name", "SELECT * FROM items WHERE id = ?");
    query->SetTag("span.type", "sql");
    query->SetTag("span.kind", "client");
    query->Finish();
    auto render = tracer->StartSpan("render", { opentracing::ChildOf(&web->context()) });
    render->SetTag("span.type", "");
    render->SetTag("unicode.tag", "grüße ✓");
    render->Finish();
    web->Finish();

    auto job = tracer->StartSpan("job.run");
    job->SetTag("resource.name", "nightly");
    job->SetTag("span.type", "worker");
    job->SetTag("error", true);
    job->SetTag("error.type", "std::out_of_range");
    job->SetTag("error.message", "index 7 is out of range");
    job->SetTag("error.stack", "main");
    job->Finish();
    tracer->Close();
}
