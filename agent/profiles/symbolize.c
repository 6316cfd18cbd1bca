/* symbolize.c - locations to lines. */
#include "symbolize.h"

#include "spb.h"

static bool add_line(profile *p, uint32_t location, const symbol_line *from)
{
    const profile_function f = { .name = profile_string(p, from->name),
                                 .system_name = profile_string(p, from->system_name),
                                 .file = profile_string(p, from->file),
                                 .start_line = from->start_line };

    return profile_add_line(p, location, (profile_line){ profile_function_of(p, &f), from->line });
}

static void symbolize_location(profile *p, uint32_t location)
{
    symbol_line lines[SYMBOLS_LINES_MAX];
    const profile_location *l = &p->locations[location];
    profile_mapping *m = &p->mappings[l->mapping];
    /* a map of generated code has addresses as they run */
    uint64_t at = l->address + (m->flags & SPB_MAPPING_ANON ? m->bias : 0);
    size_t len = m->object ? symbols_resolve(m->object, at, lines) : 0;

    for (size_t i = 0; i < len && add_line(p, location, &lines[i]); i++) {
        m->has_functions = true;
        m->has_lines |= lines[i].line != 0;
        m->has_inlines |= len > 1;
    }
}

void profile_symbolize(profile *p)
{
    for (uint32_t i = 1; i < p->locations_len; i++) {
        if (!p->locations[i].symbolized)
            symbolize_location(p, i);
        p->locations[i].symbolized = true;
    }
}
