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

cat >profiled.c <<'C'
#include <sonde/profiler.h>

int main(void)
{
    static sonde_prof_options o;

    o.service = "profiled";
    (void)sonde_prof_start(&o);
    sonde_prof_stop();
    return 0;
}
C
cp profiled.c profiled.cc
profiler=
if [ -e "$lib/libsonde-profiler.so" ]; then
    profiler="./profiled ./profiled-cxx project/build/profiled"
    cc -Wall -Wextra -Werror -o profiled profiled.c $(pkg-config --cflags --libs sonde-profiler)
    c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -o profiled-cxx profiled.cc $(pkg-config --cflags --libs sonde-profiler)
    [ -s "$tmp/prefix/share/man/man7/sonde-profiler.7" ] && [ -s "$tmp/prefix/share/man/man3/sonde_prof_start.3" ] || {
        echo "no manual pages of the profiler were installed"
        exit 1
    }
    needed=$(readelf -d "$lib/libsonde-profiler.so" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' |
        grep -v -e '^libc\.so' -e '^ld-linux' -e '^libpthread\.so' -e '^libdl\.so' -e '^librt\.so' || true)
    [ -z "$needed" ] || {
        echo "the profiler would bring $needed into every program"
        exit 1
    }
    readelf -d "$lib/libsonde-profiler.so" | grep -q 'SONAME.*libsonde-profiler\.so\.[0-9]' || {
        echo "the profiler has no soname"
        exit 1
    }
fi

mkdir project
cp first.c profiled.c project/
cat >project/CMakeLists.txt <<'C'
cmake_minimum_required(VERSION 3.25)
project(first C)
find_package(Sonde REQUIRED)
add_executable(first first.c)
target_link_libraries(first PRIVATE Sonde::trace)
add_executable(first-static first.c)
target_link_libraries(first-static PRIVATE Sonde::trace-static)
if(TARGET Sonde::profiler)
    add_executable(profiled profiled.c)
    target_link_libraries(profiled PRIVATE Sonde::profiler)
endif()
C
cmake -S project -B project/build -DCMAKE_PREFIX_PATH="$tmp/prefix" >cmake.log 2>&1 && cmake --build project/build >>cmake.log 2>&1 || {
    cat cmake.log
    exit 1
}

for program in ./first-shared ./first-static ./first-cxx project/build/first project/build/first-static $profiler; do
    DD_TRACE_ENABLED=false DD_PROFILING_DO_EXPORT=false LD_LIBRARY_PATH=$lib "$program" || {
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
