#!/bin/sh
# compiled.sh DIR - the client of versions.test.mjs in Go and in C++; fails when one of them cannot be built here: no compiler,
# no library, modules out of reach.
set -eu
here=$(dirname "$(readlink -f "$0")")
mkdir -p "$1"
dir=$(readlink -f "$1")
failed=0

# fresh PROGRAM SOURCE...: it is newer than all of them
fresh() {
    program=$1
    shift
    [ -x "$program" ] && [ -z "$(find "$@" -newer "$program")" ]
}

fresh "$dir/cpp" "$here/dd_opentracing_client.cpp" ||
    c++ -std=c++14 -o "$dir/cpp" "$here/dd_opentracing_client.cpp" -ldd_opentracing -lopentracing || failed=1
fresh "$dir/go" "$here/go" || (cd "$here/go" && go build -o "$dir/go" .) || failed=1
exit $failed
