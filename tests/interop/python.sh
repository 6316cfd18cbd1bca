#!/bin/sh
# python.sh DIR - a Python environment with the ddtrace that hops.test.mjs asks for; fails when PyPI is not reached.
set -eu
version=4.16.0
if [ "$(cat "$1/ddtrace-version" 2>/dev/null)" = $version ]; then
    exit 0
fi
rm -rf "$1"
python3 -m venv "$1"
"$1/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "ddtrace==$version"
echo $version >"$1/ddtrace-version"
