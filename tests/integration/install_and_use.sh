#!/bin/sh
# install_and_use.sh <build dir> - installs into a temporary prefix and builds examples/shop against what is there,
# as somebody with nothing but the package would: with pkg-config, statically, as C++17, and with find_package.
set -eu
export CMAKE_GENERATOR=Ninja # what a machine prepared by ./dev has

build=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cmake --install "$build" --prefix "$tmp/prefix" >"$tmp/install.log" 2>&1 || {
    cat "$tmp/install.log"
    exit 1
}
PKG_CONFIG_PATH=$(dirname "$(find "$tmp/prefix" -name sonde-trace.pc)")
export PKG_CONFIG_PATH
lib=$(pkg-config --variable=libdir sonde-trace)
for page in sonde_span sonde_span_finish; do
    [ -s "$tmp/prefix/share/man/man3/$page.3" ] || {
        echo "no manual page $page(3) was installed"
        exit 1
    }
done
shop=$root/examples/shop

cd "$tmp"
cc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -o gateway "$shop/gateway.c" "$shop/web.c" \
    $(pkg-config --cflags --libs sonde-trace libmicrohttpd libcurl) -pthread
cc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -o orders "$shop/orders.c" "$shop/database.c" "$shop/ship.c" \
    "$shop/web.c" $(pkg-config --cflags --libs sonde-trace libmicrohttpd sqlite3) -pthread

cat >first.c <<'C'
#include <sonde/sonde.h>

int main(void)
{
    sonde_start(NULL);
    {
        SONDE_SPAN(span, "first");
        sonde_span_set_int(span, "answer", 42);
    }
    sonde_stop();
    return 0;
}
C
cp first.c first.cc
cc -o first-shared first.c $(pkg-config --cflags --libs sonde-trace)
cc -o first-static first.c $(pkg-config --cflags sonde-trace) "$lib/libsonde-trace.a" \
    $(pkg-config --static --libs-only-other sonde-trace)
c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -o first-cxx first.cc $(pkg-config --cflags --libs sonde-trace)

mkdir project
cp first.c project/
cat >project/CMakeLists.txt <<'C'
cmake_minimum_required(VERSION 3.25)
project(first C)
find_package(Sonde REQUIRED)
add_executable(first first.c)
target_link_libraries(first PRIVATE Sonde::trace)
add_executable(first-static first.c)
target_link_libraries(first-static PRIVATE Sonde::trace-static)
C
cmake -S project -B project/build -DCMAKE_PREFIX_PATH="$tmp/prefix" >cmake.log 2>&1 && cmake --build project/build >>cmake.log 2>&1 || {
    cat cmake.log
    exit 1
}

for program in ./first-shared ./first-static ./first-cxx project/build/first project/build/first-static; do
    DD_TRACE_ENABLED=false LD_LIBRARY_PATH=$lib "$program" || {
        echo "$program failed"
        exit 1
    }
done
for program in first-static project/build/first-static; do
    for symbol in otel_thread_ctx_v1 sonde_trace_profiler_started; do
        nm -D --defined-only "$program" | grep -q " $symbol\$" || {
            echo "$program does not export $symbol, which others look for by name"
            exit 1
        }
    done
done
echo "installed, and used in five ways"
