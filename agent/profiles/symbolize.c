/* symbolize.c - locations to lines, locks to names. */
#include "symbolize.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/hex.h"

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

/* "0x00005581c3f4a0c0", as the profiler writes it. */
static bool read_address(sonde_str text, uint64_t *out)
{
    return text.len == 18 && sonde_str_starts(text, SONDE_STR("0x")) &&
           sonde_hex_parse_u64(sonde_str_sub(text, 2, 18), 0, out) == SONDE_OK;
}

/* Of the variable it is in, or is: objects do not overlap, so in one of them at most. */
static uint32_t name_of_lock(profile *p, uint32_t text)
{
    uint64_t address, offset = 0;
    char name[512];
    int len;

    if (!read_address(profile_text(p, text), &address))
        return text;
    for (uint32_t i = 0; i < p->mappings_len; i++) {
        const profile_mapping *m = &p->mappings[i];
        sonde_str found = { NULL, 0 };

        if (m->object && !(m->flags & SPB_MAPPING_ANON) && address >= m->bias)
            found = symbols_resolve_data(m->object, address - m->bias, &offset);
        if (found.len == 0)
            continue;
        found.len = sonde_utf8_cut(found, sizeof(name) - 32);
        len = snprintf(name, sizeof(name), offset ? "%.*s+0x%llx" : "%.*s", SONDE_STR_ARG(found),
                       (unsigned long long)offset);
        return profile_string(p, (sonde_str){ name, len > 0 ? (size_t)len : 0 });
    }
    return text;
}

/* Each text once: many rows have the same. */
static void name_locks(profile *p)
{
    uint32_t *names = sonde_calloc(p->strings_len, sizeof(*names)), strings_len = p->strings_len;

    for (uint32_t i = 0; names && i < p->samples_len; i++) {
        profile_sample *s = &p->samples[i];

        if ((s->kind != PROFILE_LOCK && s->kind != PROFILE_RELEASE) || s->text >= strings_len)
            continue;
        if (!names[s->text])
            names[s->text] = name_of_lock(p, s->text);
        if (names[s->text])
            s->text = names[s->text];
    }
    sonde_free(names);
}

void profile_symbolize(profile *p)
{
    for (uint32_t i = 1; i < p->locations_len; i++) {
        if (!p->locations[i].symbolized)
            symbolize_location(p, i);
        p->locations[i].symbolized = true;
    }
    name_locks(p);
}
