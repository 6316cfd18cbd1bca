/* symbolize.c - locations to lines. */
#include "symbolize.h"

#include "spb.h"

static bool add_line(profile *p, const symbol_line *from)
{
    const profile_function f = { .name = profile_string(p, from->name),
                                 .system_name = profile_string(p, from->system_name),
                                 .file = profile_string(p, from->file),
                                 .start_line = from->start_line };
    profile_line *items =
        array_room(p->lines, p->lines_len, &p->lines_cap, sizeof(*items), PROFILE_LINES_MAX);

    if (!items)
        return false;
    p->lines = items;
    items[p->lines_len++] = (profile_line){ profile_function_of(p, &f), from->line };
    return true;
}

static void symbolize_location(profile *p, profile_location *l)
{
    symbol_line lines[SYMBOLS_LINES_MAX];
    profile_mapping *m = &p->mappings[l->mapping];
    uint64_t at = l->address +
                  (m->flags & SPB_MAPPING_ANON ? m->bias : 0); /* a map has addresses as they run */
    size_t len = m->object ? symbols_resolve(m->object, at, lines) : 0;

    l->lines_at = p->lines_len;
    for (size_t i = 0; i < len; i++) {
        if (!add_line(p, &lines[i]))
            break;
        m->has_functions = true;
        m->has_lines |= lines[i].line != 0;
        m->has_inlines |= len > 1;
    }
    l->lines_len = p->lines_len - l->lines_at;
}

void profile_symbolize(profile *p)
{
    for (uint32_t i = 1; i < p->locations_len; i++) {
        if (!p->locations[i].symbolized)
            symbolize_location(p, &p->locations[i]);
        p->locations[i].symbolized = true;
    }
}
