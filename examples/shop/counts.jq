# counts.jq - spans and chunks as each stage counted them.
#
#   $produced   of the services: {spans, chunks, spans_lost, chunks_lost}
#   $agent      [GET /sonde/v1/status of the agent]
#   $intake     [GET /api/sonde/v1/counters of the intake]
def total: [.. | numbers] | add // 0;
def of($key): [.[]? | .[$key] // 0] | add // 0;

$agent[0] as $agent | $intake[0] as $intake
| ($agent.forwarder | map(.traces)) as $to
| {
    produced: $produced | {spans, chunks},
    received: $agent.receiver | {spans: .spans_received, chunks: .traces_received},
    forwarded: {spans: $to | map(.delivered) | of("items"), chunks: $to | map(.delivered) | of("chunks")},
    stored: $intake.stored | {spans, chunks},
    dropped: {
      spans: ($produced.spans_lost
        + ($agent.sampler | .spans_seen - .spans_out)
        + ($agent.processor.spans_dropped | total) + ($agent.trace_writer.spans_dropped | total)
        + ($to | map(.dropped | of("items")) | add) + ($intake.dropped.spans | total)),
      chunks: ($produced.chunks_lost + ($agent.receiver.traces_dropped | total)
        + ($agent.processor.chunks_dropped | total)
        + ($agent.sampler | with_entries(select(.key | startswith("dropped_"))) | total)
        + ($to | map(.dropped | of("chunks")) | add))
    },
    waiting: ($agent.queue.waiting + $agent.trace_writer.spans_waiting
      + ($to | map(.queued) | of("items")) + $intake.queued.spans)
  }
