#!/bin/sh
# python.sh DIR - a Python environment with ddtrace, for hops.test.mjs and versions.test.mjs (DIR/ddtrace-N: older ones), and
# OpenTelemetry's exporters, for otel.test.mjs; fails when PyPI is not reached.
set -eu
version=4.16.0
older="2.21.11${SONDE_SOAK:+ 1.20.19 3.19.7}" # each takes half a minute to install
otel=1.45.2
if [ "$(cat "$1/versions" 2>/dev/null)" = "$version $older $otel" ]; then
    exit 0
fi
install() {
    "$dir/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "$@"
}
dir=$1
rm -rf "$dir"
python3 -m venv "$dir"
install "ddtrace==$version" "opentelemetry-exporter-otlp-proto-grpc==$otel" "opentelemetry-exporter-otlp-proto-http==$otel"
for old in $older; do
    install --target "$dir/ddtrace-${old%%.*}" "ddtrace==$old" setuptools
done
echo "$version $older $otel" >"$dir/versions"
