// parts/notice.js - what a screen says when it has nothing to show: empty, failed, still loading.

import { html, useEffect, useState } from '../../vendor/preact.js';
import { useApi } from '../lib/api.js';

export function Notice({ title, children }) {
  return html`<section class="notice" role="status"><h1>${title}</h1>${children}</section>`;
}

// An error of the API, with its reason and a way on.
export function Failure({ error, retry }) {
  return html`<div class="alert" role="alert">
    <span class="grow"><b>Could not load this.</b> ${error.message}</span>
    ${retry && html`<button onClick=${retry}>Try again</button>`}
  </div>`;
}

export function Progress({ on }) {
  return on ? html`<div class="progress" role="progressbar" aria-label="loading"></div>` : null;
}

// Why a list is empty, from what the store holds; `tick` makes it look again.
export function NothingYet({ what, widen, tick = 0 }) {
  const { data } = useApi('counters', {}, tick);
  if (!data) return null;
  if (what === 'services' && data.stored.spans > 0 && data.stored.stats_groups === 0) {
    return html`<${Notice} title="Statistics are on their way">
      <p><a href="/traces">Traces</a> have arrived. The agent counts every request in buckets of
        10 seconds and sends a bucket when it is complete, so the first numbers are here within half a minute.</p>
    </${Notice}>`;
  }
  if (data.store.oldest_unix_s > 0 || data.stored.spans > 0) {
    return html`<${Notice} title=${`No ${what} in this time range`}>
      <p>The store holds traces, but none that match here. Widen the time range, or clear the filters.</p>
      ${widen && html`<p><button onClick=${widen}>Show the last 2 days</button></p>`}
    </${Notice}>`;
  }
  return html`<${Notice} title="No traces have arrived yet">
    <p>Start a program that is instrumented with Sonde or any Datadog tracer, and point it at the agent:</p>
    <pre>export DD_TRACE_AGENT_URL=http://127.0.0.1:8126
export DD_SERVICE=my-service DD_ENV=dev
./my-program</pre>
    <p>The smallest program that is traced:</p>
    <pre>${`#include <sonde/sonde.h>

int main(void)
{
    sonde_start(NULL);
    {
        SONDE_SPAN(span, "hello");
    }
    sonde_stop();
}`}</pre>
    <p>Nothing at hand? <code>./dev demo</code> runs two services with load. This page looks
      again by itself.</p>
  </${Notice}>`;
}

// No sample in the range.  `any`: there are profiles of the service; `others`: of other services.
export function NoProfiles({ service, any, others, widen, clear }) {
  if (any)
    return html`<${Notice} title="No samples match">
      <p>There are profiles in this time range, but nothing in them fits the filters or the sample type.</p>
      <p><button onClick=${clear}>Clear the filters</button></p>
    </${Notice}>`;
  if (others)
    return html`<${Notice} title=${`No profiles of ${service} in this time range`}>
      <p>Other services have some: choose one above, or look at a longer time. The first profile of a program
        arrives within a minute.</p>
      <p><button onClick=${widen}>Show the last 2 days</button></p>
    </${Notice}>`;
  return html`<${Notice} title="No profiles in this time range">
    <p>Start a program with the profiler, or with a Datadog profiler of another language, and point it at the agent:</p>
    <pre>export DD_TRACE_AGENT_URL=http://127.0.0.1:8126
export DD_SERVICE=my-service DD_PROFILING_ENABLED=1
LD_PRELOAD=libsonde-profiler.so ./my-program</pre>
    <p>The first profile arrives within a minute.</p>
    <p><button onClick=${widen}>Show the last 2 days</button></p>
  </${Notice}>`;
}

// Shows the default export of a module once it is there.
export function Lazy({ load, props }) {
  const [state, setState] = useState({ View: null, error: null });
  useEffect(() => {
    load().then(
      (m) => setState({ View: m.default, error: null }),
      (error) => setState({ View: null, error }),
    );
  }, []);
  if (state.error)
    return html`<${Failure} error=${state.error} retry=${() => location.reload()} />`;
  return state.View ? html`<${state.View} ...${props} />` : null;
}
