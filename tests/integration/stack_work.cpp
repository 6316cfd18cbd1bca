// stack_work.cpp - what C++ does to a stack: templates, virtual calls, regular expressions, exceptions.  Compiled by test_stacks.py.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace
{

volatile double sink;

struct shape {
    virtual ~shape() = default;
    virtual double area(int depth) const = 0;
};

struct nested : shape {
    std::unique_ptr<shape> inner;
    double side;

    nested(int depth, double s) : inner(depth ? new nested(depth - 1, s / 2) : nullptr), side(s)
    {
    }
    double area(int depth) const override
    {
        return side * side + (inner ? inner->area(depth - 1) : 0);
    }
};

__attribute__((noinline)) void thrown(int depth)
{
    std::string kept(static_cast<size_t>(depth) * 3, 'x'); // has a destructor to be run on the way

    if (depth == 0)
        throw std::runtime_error("out");
    thrown(depth - 1);
    sink = sink + static_cast<double>(kept.size());
}

void match()
{
    static const std::regex pattern("([a-z]+)=([0-9]+(?:\\.[0-9]+)?);?");
    const std::string text = "alpha=1.5;beta=22;gamma=333;delta=4.25";

    for (std::sregex_iterator i(text.begin(), text.end(), pattern), end; i != end; ++i)
        sink = sink + static_cast<double>((*i)[2].length());
}

void sort_and_count()
{
    std::vector<std::string> words;
    std::map<std::string, int> seen;

    for (int i = 0; i < 200; i++)
        words.push_back(std::to_string((i * 7919) % 211));
    std::sort(words.begin(), words.end(), [](const std::string &a, const std::string &b) {
        return a.size() != b.size() ? a.size() < b.size() : a < b;
    });
    for (const auto &word : words)
        seen[word]++;
    std::function<int(int)> fibonacci = [&](int n) {
        return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
    };
    sink = sink + fibonacci(12) + static_cast<double>(seen.size());
}

void stream()
{
    std::ostringstream out;

    out << "number " << 12345 << ' ' << 0.1 << ' ' << std::hex << 48879;
    sink = sink + static_cast<double>(out.str().size());
}

} // namespace

extern "C" void work()
{
    try {
        thrown(20);
    } catch (const std::exception &e) {
        sink = sink + e.what()[0];
    }
    match();
    sort_and_count();
    stream();
    sink = sink + nested(20, 1.0).area(20);
}
