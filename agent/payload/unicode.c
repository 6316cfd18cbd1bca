/* unicode.c - look-ups in the generated tables; ASCII is answered without them. */
#include "unicode.h"

#include <stddef.h>

#include "unicode_tables.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool in_ranges(const unicode_range *ranges, size_t len, unsigned rune)
{
    size_t low = 0;

    while (low < len) {
        size_t mid = low + (len - low) / 2;

        if (rune > ranges[mid].last)
            low = mid + 1;
        else if (rune < ranges[mid].first)
            len = mid;
        else
            return true;
    }
    return false;
}

bool unicode_is_letter(unsigned rune)
{
    if (rune < 0x80)
        return (rune | 0x20) >= 'a' && (rune | 0x20) <= 'z';
    return in_ranges(unicode_letters, COUNT(unicode_letters), rune);
}

bool unicode_is_digit(unsigned rune)
{
    if (rune < 0x80)
        return rune >= '0' && rune <= '9';
    return in_ranges(unicode_digits, COUNT(unicode_digits), rune);
}

unsigned unicode_lower_same_width(unsigned rune)
{
    size_t low = 0, len = COUNT(unicode_lower);

    if (rune < 0x80)
        return rune >= 'A' && rune <= 'Z' ? rune + 0x20 : rune;
    while (low < len) {
        size_t mid = low + (len - low) / 2;
        const unicode_run *run = &unicode_lower[mid];

        if (rune > run->last)
            low = mid + 1;
        else if (rune < run->first)
            len = mid;
        else
            return (rune - run->first) % run->step == 0 ? (unsigned)((int)rune + run->delta) : rune;
    }
    return rune;
}
