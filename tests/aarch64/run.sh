#!/bin/sh
# run.sh ROOT WORK - compiles the profiler for aarch64 and runs the tests of its unwinder there, under qemu.
#
# Status 77, and why, where the cross compiler or the emulator is not installed.
set -eu
root=$1 work=$2
cc=aarch64-linux-gnu-gcc qemu=qemu-aarch64 system=/usr/aarch64-linux-gnu
for tool in $cc $qemu; do
    command -v $tool >/dev/null || { echo "skipped: $tool is not installed (packages gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user)"; exit 77; }
done
mkdir -p "$work"
cd "$root"
flags="-std=c11 -D_GNU_SOURCE -DSONDE_VERSION=\"0\" -O1 -g -fPIC -fno-omit-frame-pointer -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
    -Itests/aarch64 -Itests -Icommon -Icommon/base/include -Iprofiler/include -I."

for source in profiler/src/*.c profiler/hooks/*.c; do
    $cc $flags -fsyntax-only "$source"
done
echo "compiled: profiler"
for test in cfi unwind; do
    $cc $flags "tests/unit/profiler/test_$test.c" tests/support/alloc_fail.c \
        profiler/src/cfi.c profiler/src/regs_sig.c profiler/src/unwind_build.c profiler/src/unwind_sig.c profiler/src/unwind_table_sig.c \
        common/base/alloc.c common/base/clock.c common/base/digest.c common/base/rng.c common/base/status.c common/base/table.c \
        -o "$work/test_$test" -lpthread -lm
    $qemu -L $system "$work/test_$test"
done
