/* profile_join.c - ids of one profile to those of another, in the order of what refers to what. */
#include "profile_join.h"

#include "base/alloc.h"

/* Ids of `from` to those of `to`. */
typedef struct join {
    profile *to;
    const profile *from;
    uint32_t *strings, *mappings, *locations, *nodes, *threads;
    uint32_t root; /* node of `to` below which stacks begin */
    uint8_t custom[PROFILE_CUSTOM_MAX];
} join;

static void join_texts(join *j)
{
    for (uint32_t i = 1; i < j->from->strings_len; i++)
        j->strings[i] = profile_string(j->to, j->from->strings[i]);
    for (uint32_t i = 1; i < j->from->threads_len; i++) {
        const profile_thread *t = &j->from->threads[i];

        j->threads[i] = profile_add_thread(j->to, t->tid, j->strings[t->name]);
    }
    for (uint32_t i = 0; i < j->from->custom_len; i++) {
        const profile_custom *c = &j->from->custom[i];

        j->custom[i] = (uint8_t)profile_custom_of(j->to, j->strings[c->type], j->strings[c->unit]);
    }
}

static void join_mappings(join *j)
{
    j->mappings[PROFILE_MAP_SYNTHETIC] = PROFILE_MAP_SYNTHETIC;
    for (uint32_t i = PROFILE_MAP_SYNTHETIC + 1; i < j->from->mappings_len; i++) {
        profile_mapping m = j->from->mappings[i];

        m.path = j->strings[m.path];
        m.build_id = j->strings[m.build_id];
        j->mappings[i] = profile_add_mapping(j->to, &m);
    }
}

static uint64_t address_of(const join *j, const profile_location *l)
{
    bool is_text = l->mapping == PROFILE_MAP_SYNTHETIC && l->address >= PROFILE_KERNEL_SYMBOL;
    uint64_t text = l->address - PROFILE_KERNEL_SYMBOL;

    return is_text && text < j->from->strings_len ? PROFILE_KERNEL_SYMBOL + j->strings[text]
                                                  : l->address;
}

/* A parent's id is below its children's. */
static void join_stacks(join *j)
{
    for (uint32_t i = 1; i < j->from->locations_len; i++) {
        const profile_location *l = &j->from->locations[i];

        j->locations[i] = profile_location_of(j->to, j->mappings[l->mapping], address_of(j, l));
    }
    j->nodes[0] = j->root;
    for (uint32_t i = 1; i < j->from->nodes_len; i++) {
        const profile_node *n = &j->from->nodes[i];
        uint32_t id = profile_node_of(j->to, j->nodes[n->parent], j->locations[n->location]);

        j->nodes[i] = id ? id : j->nodes[n->parent];
    }
}

static profile_sample row_of(const join *j, const profile_sample *s)
{
    profile_sample row = *s;

    row.node = j->nodes[s->node];
    row.thread = j->threads[s->thread];
    row.text = j->strings[s->text];
    if (s->kind == PROFILE_CUSTOM)
        row.detail = j->custom[s->detail];
    return row;
}

static void join_rows(join *j)
{
    profile *to = j->to;

    for (uint32_t i = 0; i < j->from->samples_len; i++) {
        profile_sample row = row_of(j, &j->from->samples[i]);

        if (row.kind == PROFILE_CUSTOM && row.detail == PROFILE_CUSTOM_MAX)
            profile_lose(to, PROFILE_LOSS_CUSTOM, 1);
        else
            profile_add(to, &row);
    }
    for (uint32_t i = 0; i < j->from->live_len; i++) {
        profile_sample row = row_of(j, &j->from->live[i]);

        profile_add_live(to, &row);
    }
    for (uint32_t i = 0; i < j->from->endpoints_len; i++) {
        const profile_endpoint *e = &j->from->endpoints[i];

        profile_set_endpoint(to, e->local_root_id, j->strings[e->endpoint], j->strings[e->type],
                             e->finished);
    }
}

static void join_facts(join *j)
{
    for (size_t i = 0; i < PROFILE_KINDS; i++)
        j->to->enabled[i] |= j->from->enabled[i];
    for (size_t i = 0; i < PROFILE_LOSSES; i++)
        j->to->lost[i] += j->from->lost[i];
    j->to->live_lost += j->from->live_lost;
    j->to->timeline |= j->from->timeline;
    if (j->from->cpu_period_ns)
        j->to->cpu_period_ns = j->from->cpu_period_ns;
}

static uint32_t root_node(profile *to, sonde_str name)
{
    uint32_t text = profile_string(to, name);

    return text ? profile_node_of(to, 0,
                                  profile_location_of(to, PROFILE_MAP_SYNTHETIC,
                                                      PROFILE_PROCESS + (uint64_t)text))
                : 0;
}

static uint32_t *ids(uint32_t len)
{
    return sonde_calloc(len, sizeof(uint32_t));
}

sonde_status profile_join(profile *to, const profile *from, sonde_str root)
{
    join j = { .to = to,
               .from = from,
               .strings = ids(from->strings_len + 1),
               .mappings = ids(from->mappings_len),
               .locations = ids(from->locations_len),
               .nodes = ids(from->nodes_len),
               .threads = ids(from->threads_len) };
    bool ok = j.strings && j.mappings && j.locations && j.nodes && j.threads;

    if (ok) {
        j.root = root_node(to, root);
        join_facts(&j);
        join_texts(&j);
        join_mappings(&j);
        join_stacks(&j);
        join_rows(&j);
    }
    sonde_free(j.strings);
    sonde_free(j.mappings);
    sonde_free(j.locations);
    sonde_free(j.nodes);
    sonde_free(j.threads);
    return ok ? SONDE_OK : SONDE_ERR_NOMEM;
}
