#!/bin/sh
# python.sh DIR - a Python environment with ddtrace, for hops.test.mjs, and OpenTelemetry's exporters, for otel.test.mjs;
# fails when PyPI is not reached.
set -eu
version=4.16.0
otel=1.45.2
if [ "$(cat "$1/versions" 2>/dev/null)" = "$version $otel" ]; then
    exit 0
fi
rm -rf "$1"
python3 -m venv "$1"
"$1/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "ddtrace==$version" \
    "opentelemetry-exporter-otlp-proto-grpc==$otel" "opentelemetry-exporter-otlp-proto-http==$otel"
echo "$version $otel" >"$1/versions"
