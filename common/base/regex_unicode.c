/* regex_unicode.c - ranges from a table of runs; each run is of one category. */
#include "base/regex_unicode.h"

#include <stddef.h>

#include "base/regex_tree.h"
#include "base/regex_unicode_table.h"

#define RUNS (sizeof(runs) / sizeof(runs[0]))

/* C is what Go takes for it: without what is assigned to nothing. */
static bool is_of(sonde_str category, const char kind[3])
{
    return kind[0] == category.ptr[0] &&
           (category.len == 1 ? kind[1] != 'n' || kind[0] != 'C' : kind[1] == category.ptr[1]);
}

/* A category with a name of its own; Cn has none. */
static bool is_category(sonde_str name)
{
    size_t i;

    if (name.len == 0 || name.len > 2)
        return false;
    for (i = 1; i < sizeof(kind_names) / sizeof(kind_names[0]); i++)
        if (is_of(name, kind_names[i]))
            return true;
    return false;
}

static void walk_run(sonde_str category, uint32_t lo, uint32_t hi, uint32_t kind,
                     void (*take)(void *user, uint32_t lo, uint32_t hi), void *user)
{
    bool upper = is_of(category, "Lu"), lower = is_of(category, "Ll");

    if (kind != LU_LL && kind != LL_LU) {
        if (is_of(category, kind_names[kind]))
            take(user, lo, hi);
        return;
    }
    if (upper && lower)
        take(user, lo, hi);
    else if (upper || lower)
        for (lo += upper != (kind == LU_LL); lo <= hi; lo += 2)
            take(user, lo, lo);
}

static void walk_category(sonde_str category, void (*take)(void *user, uint32_t lo, uint32_t hi),
                          void *user)
{
    size_t i;

    for (i = 0; i < RUNS; i++) {
        uint32_t end = i + 1 < RUNS ? runs[i + 1] >> KIND_BITS : REGEX_RUNE_MAX + 1;

        walk_run(category, runs[i] >> KIND_BITS, end - 1, runs[i] & ((1u << KIND_BITS) - 1), take,
                 user);
    }
}

bool regex_unicode_walk(sonde_str name, void (*take)(void *user, uint32_t lo, uint32_t hi),
                        void *user)
{
    size_t i, k;

    if (is_category(name)) {
        walk_category(name, take, user);
        return true;
    }
    if (sonde_str_eq(name, SONDE_STR("Any"))) {
        take(user, 0, REGEX_RUNE_MAX);
        return true;
    }
    for (i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        if (!sonde_str_eq(name, sonde_str_from(scripts[i].name)))
            continue;
        for (k = scripts[i].first; k < (size_t)scripts[i].first + scripts[i].len; k++)
            take(user, script_ranges[k][0], script_ranges[k][1]);
        return true;
    }
    return false;
}

/* Letters are letters in either case, but for one mark that is the other case of a Greek one; and so on. */
const uint32_t *regex_unicode_folded(sonde_str name)
{
    static const struct {
        const char *name;
        uint32_t runes[4];
    } more[] = {
        { "L", { 0x345 } },
        { "M", { 0x399, 0x3b9, 0x1fbe } },
        { "Mn", { 0x399, 0x3b9, 0x1fbe } },
        { "Greek", { 0xb5, 0x345 } },
        { "", { 0 } },
    };
    size_t i;

    if (name.len == 2 && name.ptr[0] == 'L' && name.ptr[1] != 'm' && name.ptr[1] != 'o')
        return NULL;
    for (i = 0; more[i].name[0] && !sonde_str_eq(name, sonde_str_from(more[i].name)); i++)
        ;
    return more[i].runes;
}
