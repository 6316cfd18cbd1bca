// profiler_storm_throw.cpp - exceptions that are thrown deep below, pass frames with something to clean up, are thrown on, and
// caught.  Made by test_profiler_storm.py where there is a C++ compiler.
#include <cstdint>
#include <stdexcept>
#include <string>

static volatile uint64_t sink;

struct Counted {
    explicit Counted(uint64_t &n) : n(n) { n++; }
    ~Counted() { n--; }
    uint64_t &n;
};

__attribute__((noinline)) static uint64_t go_down(unsigned depth, uint64_t &alive)
{
    Counted here(alive);
    std::string text(depth % 40, 'x');

    if (depth == 0)
        throw std::runtime_error("the bottom: " + std::to_string(alive));
    if (depth % 7 == 3) {
        try {
            return go_down(depth - 1, alive) + text.size();
        } catch (const std::exception &) {
            sink = sink + 1;
            throw;
        }
    }
    return go_down(depth - 1, alive) + text.size();
}

extern "C" __attribute__((visibility("default"))) uint64_t storm_throw(uint64_t rounds)
{
    uint64_t caught = 0, alive = 0;

    for (uint64_t i = 0; i < rounds; i++) {
        const unsigned depth = 40 + i % 60;

        try {
            (void)go_down(depth, alive);
        } catch (const std::runtime_error &e) {
            caught += alive == 0 && e.what() == "the bottom: " + std::to_string(depth + 1);
        }
    }
    return caught;
}
