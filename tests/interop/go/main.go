// The program of dd_trace_client.cjs in Go.
package main

import (
	"context"
	"errors"

	"github.com/DataDog/dd-trace-go/v2/ddtrace/tracer"
)

func main() {
	if err := tracer.Start(); err != nil {
		panic(err)
	}
	web, ctx := tracer.StartSpanFromContext(context.Background(), "web.request",
		tracer.ResourceName("GET /items/{id}"), tracer.SpanType("web"), tracer.Tag("span.kind", "server"),
		tracer.Tag("http.status_code", 200), tracer.Tag("item.weight", 2.5))
	query, _ := tracer.StartSpanFromContext(ctx, "pg.query", tracer.ResourceName("SELECT * FROM items WHERE id = ?"),
		tracer.SpanType("sql"), tracer.Tag("span.kind", "client"), tracer.Tag("db.row_count", 1))
	query.Finish()
	render, _ := tracer.StartSpanFromContext(ctx, "render", tracer.Tag("unicode.tag", "grüße ✓"))
	render.Finish()
	web.Finish()

	job := tracer.StartSpan("job.run", tracer.ResourceName("nightly"), tracer.SpanType("worker"))
	job.Finish(tracer.WithError(errors.New("index 7 is out of range")))
	tracer.Stop()
}
