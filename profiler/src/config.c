/* config.c - one row from its sources, and what follows from several settings at once. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/setting.h"

#include "waits.h"

#define FIELD(name)     offsetof(sonde_prof__config, name)
#define TEXTS_MAX_BYTES (256u * 1024)
#define FILE_MAX_BYTES  (64u * 1024)
#define TIMER_HZ_MAX    1000.0 /* below a tick of the scheduler nothing is gained */
#define PERF_HZ_MAX     10000.0
#define DEFAULT_SOCKET  "/var/run/datadog/apm.socket"

typedef struct sources {
    const sonde_prof_options *options; /* complete */
    sonde_prof__lookup lookup;
    void *user;
    sonde_str file; /* its text */
} sources;

static void complain(const char *name, sonde_str value, const char *why, sonde_str instead)
{
    SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "variable not used: %s=%s reason=\"%s\" using=%s", name,
                     SONDE_LOG_QUOTE(value), why, SONDE_LOG_QUOTE(instead));
}

static sonde_str keep(sonde_prof__config *c, sonde_str text)
{
    sonde_str copy = { "", 0 };

    if (text.len > 0 && sonde_utf8_valid(text))
        copy = sonde_arena_copy(&c->texts, text);
    return copy.ptr ? copy : (sonde_str){ "", 0 };
}

/* -- values ----------------------------------------------------------------------------------------- */

/* NULL: taken. */
static const char *take(sonde_prof__config *c, const sonde_prof__setting_row *row, sonde_str text)
{
    void *field = (char *)c + row->field;
    sonde_bounds bounds = { row->min, row->max, row->clamp };

    switch (row->type) {
    case SONDE_PROF__TYPE_BOOL:
        return sonde_parse_bool(text, (bool *)field) == SONDE_OK ? NULL : "not a boolean";
    case SONDE_PROF__TYPE_INT:
        return sonde_setting_u32(text, bounds, (uint32_t *)field);
    case SONDE_PROF__TYPE_NUMBER:
        return sonde_setting_double(text, bounds, (double *)field);
    case SONDE_PROF__TYPE_CHOICE:
        return sonde_setting_choice(text, row->choices, (uint32_t *)field);
    case SONDE_PROF__TYPE_DURATION:
        return sonde_setting_duration(text, bounds, row->unit_ns, (uint64_t *)field);
    case SONDE_PROF__TYPE_BYTES:
        return sonde_setting_bytes(text, bounds, row->unit_ns ? row->unit_ns : 1,
                                   (uint64_t *)field);
    case SONDE_PROF__TYPE_LEVEL:
        return sonde_log_parse_level(text, (sonde_log_level *)field) == SONDE_OK ? NULL
                                                                                 : "not a level";
    case SONDE_PROF__TYPE_TEXT:
    case SONDE_PROF__TYPES:
        break;
    }
    if (!sonde_utf8_valid(text))
        return "not UTF-8";
    *(sonde_str *)field = keep(c, text);
    return NULL;
}

/* -- sources ---------------------------------------------------------------------------------------- */

typedef struct found {
    const char *name; /* NULL: the source says nothing */
    sonde_str text;
} found;

static found from_environment(const sonde_prof__setting_row *row, const sources *from)
{
    size_t i;

    for (i = 0; i < SONDE_PROF__NAMES_MAX && row->names[i]; i++) {
        const char *value = from->lookup(from->user, row->names[i]);
        sonde_str text = sonde_str_trim(sonde_str_from(value));

        if (text.len > 0)
            return (found){ row->names[i], text };
    }
    return (found){ NULL, { NULL, 0 } };
}

/* An option that is set, as the text a variable would hold. */
static found from_code(const sonde_prof__setting_row *row, const sources *from, char scratch[24])
{
    const char *at = (const char *)from->options + row->option;
    const char *text = NULL;
    int32_t flag;
    uint32_t number;
    uint64_t bytes;

    if (row->option == 0)
        return (found){ NULL, { NULL, 0 } };
    if (row->type == SONDE_PROF__TYPE_BOOL) {
        memcpy(&flag, at, sizeof(flag));
        text = flag == 0 ? NULL : flag > 0 ? "true" : "false";
    } else if (row->type == SONDE_PROF__TYPE_NUMBER) {
        memcpy(&number, at, sizeof(number));
        (void)snprintf(scratch, 24, "%u", (unsigned)number);
        text = number > 0 ? scratch : NULL;
    } else if (row->type == SONDE_PROF__TYPE_BYTES) {
        memcpy(&bytes, at, sizeof(bytes));
        (void)snprintf(scratch, 24, "%llub", (unsigned long long)bytes);
        text = bytes > 0 ? scratch : NULL;
    } else {
        memcpy(&text, at, sizeof(text));
    }
    return (found){ text && *text ? row->names[0] : NULL, sonde_str_from(text) };
}

/* Lines of "name = value", values with or without quotes; "#" begins a comment, "[...]" is passed over. */
static bool next_line(sonde_str *rest, sonde_str *out_name, sonde_str *out_value)
{
    while (rest->len > 0) {
        sonde_str line = sonde_str_trim(sonde_str_cut(rest, '\n'));
        sonde_str name = sonde_str_trim(sonde_str_cut(&line, '='));

        line = sonde_str_trim(line);
        if (name.len == 0 || name.ptr[0] == '#' || name.ptr[0] == '[' || line.len == 0)
            continue;
        if (line.len >= 2 && (line.ptr[0] == '"' || line.ptr[0] == '\'')) {
            char quote = line.ptr[0];

            line = sonde_str_sub(line, 1, line.len);
            line = sonde_str_cut(&line, quote);
        } else {
            line = sonde_str_trim(sonde_str_cut(&line, '#'));
        }
        *out_name = name;
        *out_value = line;
        return true;
    }
    return false;
}

static bool is_named(const sonde_prof__setting_row *row, sonde_str name)
{
    size_t i;

    if (row->key && sonde_str_eq(name, sonde_str_from(row->key)))
        return true;
    for (i = 0; i < SONDE_PROF__NAMES_MAX && row->names[i]; i++)
        if (sonde_str_eq(name, sonde_str_from(row->names[i])))
            return true;
    return false;
}

static found from_file(const sonde_prof__setting_row *row, const sources *from)
{
    sonde_str rest = from->file, name, value;
    found last = { NULL, { NULL, 0 } };

    while (next_line(&rest, &name, &value))
        if (value.len > 0 && is_named(row, name))
            last = (found){ row->names[0], value };
    return last;
}

static bool try_source(sonde_prof__config *c, size_t at, sonde_prof__origin origin, found f)
{
    const sonde_prof__setting_row *row = &sonde_prof__setting_rows[at];
    const char *why;

    if (!f.name)
        return false;
    why = take(c, row, f.text);
    if (!why) {
        c->origin[at] = origin;
        return true;
    }
    complain(f.name, f.text, why, sonde_str_from(row->fallback ? row->fallback : "the default"));
    return false;
}

static bool is_told(const sonde_prof__config *c, size_t field)
{
    size_t i;

    for (i = 0; i < sonde_prof__setting_rows_len; i++)
        if (sonde_prof__setting_rows[i].field == field &&
            c->origin[i] != SONDE_PROF__ORIGIN_DEFAULT)
            return true;
    return false;
}

static void read_row(sonde_prof__config *c, size_t at, const sources *from)
{
    const sonde_prof__setting_row *row = &sonde_prof__setting_rows[at];
    char scratch[24];

    if (row->second && is_told(c, row->field))
        return;
    if (!row->second && row->fallback[0])
        (void)take(c, row, sonde_str_from(row->fallback));
    if (!row->second && !row->fallback[0] && row->type == SONDE_PROF__TYPE_TEXT)
        *(sonde_str *)(void *)((char *)c + row->field) = (sonde_str){ "", 0 };
    if (try_source(c, at, SONDE_PROF__ORIGIN_CODE, from_code(row, from, scratch)) ||
        try_source(c, at, SONDE_PROF__ORIGIN_ENV, from_environment(row, from)))
        return;
    (void)try_source(c, at, SONDE_PROF__ORIGIN_FILE, from_file(row, from));
}

/* -- several at once: who we are -------------------------------------------------------------------- */

bool sonde_prof__tags_next(sonde_str *rest, bool by_comma, sonde_str *out_key, sonde_str *out_value)
{
    while (rest->len > 0) {
        sonde_str item = sonde_str_trim(sonde_str_cut(rest, by_comma ? ',' : ' '));

        *out_key = sonde_str_trim(sonde_str_cut(&item, ':'));
        *out_value = sonde_str_trim(item);
        if (out_key->len > 0)
            return true;
    }
    return false;
}

/* DD_TAGS may say what variables of their own do not. */
static void take_identity(sonde_prof__config *c)
{
    const struct {
        sonde_str key;
        sonde_str *to;
    } keys[] = {
        { SONDE_STR("service"), &c->service },
        { SONDE_STR("env"), &c->env },
        { SONDE_STR("version"), &c->version },
        { SONDE_STR("git.repository_url"), &c->git_repository },
        { SONDE_STR("git.commit.sha"), &c->git_commit },
    };
    sonde_str rest = c->tags, key, value;
    bool by_comma = rest.len > 0 && memchr(rest.ptr, ',', rest.len) != NULL;
    size_t i;

    while (sonde_prof__tags_next(&rest, by_comma, &key, &value))
        for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
            if (sonde_str_eq(key, keys[i].key) && keys[i].to->len == 0)
                *keys[i].to = value;
}

static void name_by_executable(sonde_prof__config *c)
{
    sonde_str name = c->exe;

    if (c->service.len > 0)
        return;
    while (name.len > 0 && memchr(name.ptr, '/', name.len))
        (void)sonde_str_cut(&name, '/');
    c->service = name.len > 0 ? name : SONDE_STR("unnamed_service");
    c->service_is_ours = true;
}

static void hide_user(sonde_prof__config *c, sonde_str *url)
{
    size_t user, host;
    char *to;

    if (!sonde_url_find_user(*url, &user, &host))
        return;
    to = (char *)sonde_arena_alloc(&c->texts, url->len);
    if (!to)
        return;
    memcpy(to, url->ptr, user);
    memcpy(to + user, url->ptr + host, url->len - host);
    *url = (sonde_str){ to, url->len - (host - user) };
}

static void settle_identity(sonde_prof__config *c)
{
    char path[4096], name[256] = "";
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path));

    c->exe = keep(c, (sonde_str){ path, len > 0 ? (size_t)len : 0 });
    take_identity(c);
    name_by_executable(c);
    hide_user(c, &c->git_repository);
    if (c->hostname.len > 0)
        return;
    (void)gethostname(name, sizeof(name) - 1);
    c->hostname = name[0] ? keep(c, sonde_str_from(name)) : SONDE_STR("unknown");
}

/* -- where the agent is ----------------------------------------------------------------------------- */

static bool use_url(sonde_prof__config *c, const char *name, sonde_str text)
{
    sonde_error error = { .status = SONDE_OK };
    const char *why = error.message;
    sonde_url url;

    if (sonde_url_parse(text, &url, &error) == SONDE_OK) {
        why = "https needs a TLS library, which stays out of this process";
        if (url.scheme != SONDE_URL_HTTPS) {
            c->agent = url;
            return true;
        }
    }
    complain(name, text, why, SONDE_STR("the next way to find the agent"));
    return false;
}

static bool use_host_and_port(sonde_prof__config *c)
{
    char text[300];

    if (!is_told(c, FIELD(agent_host)) && !is_told(c, FIELD(agent_port)))
        return false;
    sonde_url_write_http(c->agent_host, c->agent_port, text, sizeof(text));
    return use_url(c, "DD_AGENT_HOST", sonde_str_from(text));
}

static void find_agent(sonde_prof__config *c)
{
    if (c->profiling_url.len > 0 && use_url(c, "DD_PROFILING_URL", c->profiling_url))
        return;
    if (c->agent_url.len > 0 && use_url(c, "DD_TRACE_AGENT_URL", c->agent_url))
        return;
    if (use_host_and_port(c))
        return;
    if (access(DEFAULT_SOCKET, F_OK) == 0 &&
        use_url(c, "default", SONDE_STR("unix://" DEFAULT_SOCKET)))
        return;
    (void)use_url(c, "default", SONDE_STR("http://localhost:8126"));
}

static void settle_agent(sonde_prof__config *c)
{
    if (c->agentless)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN,
                         "profiles are sent through the agent: DD_PROFILING_AGENTLESS needs TLS, "
                         "which stays out of this process");
    find_agent(c);
    sonde_url_write(&c->agent, c->agent_text, sizeof(c->agent_text));
}

/* -- what is sampled -------------------------------------------------------------------------------- */

static void set_unless_told(sonde_prof__config *c, size_t field, bool value)
{
    if (!is_told(c, field))
        *(bool *)(void *)((char *)c + field) = value;
}

static void choose(sonde_prof__config *c, bool cpu, bool alloc, bool heap)
{
    set_unless_told(c, FIELD(cpu), cpu);
    set_unless_told(c, FIELD(alloc), alloc);
    set_unless_told(c, FIELD(heap), heap);
}

static void settle_preset(sonde_prof__config *c)
{
    static const struct {
        bool cpu, alloc, heap;
    } presets[] = {
        { true, true, false },  { true, false, false }, { true, false, false },
        { false, true, false }, { false, true, true },  { true, true, true },
    };

    if (is_told(c, FIELD(preset)))
        choose(c, presets[c->preset].cpu, presets[c->preset].alloc, presets[c->preset].heap);
}

/* "period=524288", "f=99", "mode=sl". */
static bool take_event_key(sonde_prof__config *c, bool is_cpu, sonde_str key, sonde_str value,
                           bool *out_live)
{
    bool is_period = sonde_str_eq(key, SONDE_STR("period")) || sonde_str_eq(key, SONDE_STR("p"));
    uint64_t number = 0;

    if (sonde_str_eq(key, SONDE_STR("mode")) || sonde_str_eq(key, SONDE_STR("m"))) {
        *out_live = value.len > 0 && memchr(value.ptr, 'l', value.len) != NULL;
        return true;
    }
    if (value.len > 1 && value.ptr[0] == '-') /* every so many bytes: not here */
        value = sonde_str_sub(value, 1, value.len);
    if (sonde_parse_u64(value, &number) != SONDE_OK || number == 0)
        return false;
    if (is_period && !is_cpu) {
        if (!is_told(c, FIELD(heap_sample_bytes)))
            c->heap_sample_bytes = number < 65536 ? 65536 : number;
        return true;
    }
    if (!is_cpu || (!is_period && !sonde_str_eq(key, SONDE_STR("frequency")) &&
                    !sonde_str_eq(key, SONDE_STR("f"))))
        return false;
    if (!is_told(c, FIELD(cpu_frequency))) {
        double hz = is_period ? 1e9 / (double)number : (double)number;

        c->cpu_frequency = hz < 1 ? 1 : hz > PERF_HZ_MAX ? PERF_HZ_MAX : hz;
    }
    return true;
}

static bool take_event(sonde_prof__config *c, sonde_str text, bool *cpu, bool *alloc, bool *live)
{
    sonde_str name = sonde_str_cut(&text, ' ');
    bool is_cpu;

    if (sonde_str_starts(name, SONDE_STR("e=")))
        name = sonde_str_sub(name, 2, name.len);
    is_cpu = sonde_str_eq(name, SONDE_STR("sCPU"));
    if (!is_cpu && !sonde_str_eq(name, SONDE_STR("sALLOC")))
        return false;
    *(is_cpu ? cpu : alloc) = true;
    while (text.len > 0) {
        sonde_str value = sonde_str_cut(&text, ' '), key = sonde_str_cut(&value, '=');

        if (key.len > 0 && !take_event_key(c, is_cpu, key, value, live))
            return false;
    }
    return true;
}

static void settle_events(sonde_prof__config *c)
{
    bool cpu = false, alloc = false, live = false;
    sonde_str rest = c->events;

    if (rest.len == 0)
        return;
    while (rest.len > 0) {
        sonde_str one = sonde_str_trim(sonde_str_cut(&rest, ';'));

        if (one.len > 0 && !take_event(c, one, &cpu, &alloc, &live))
            complain("DD_PROFILING_NATIVE_EVENTS", one, "not an event that is known here",
                     SONDE_STR("the others"));
    }
    choose(c, cpu, alloc, live);
}

static bool has_word(sonde_str list, sonde_str word)
{
    while (list.len > 0)
        if (sonde_str_eq_nocase(sonde_str_trim(sonde_str_cut(&list, ',')), word))
            return true;
    return false;
}

static uint32_t lock_kinds_of(sonde_str word)
{
    static const struct {
        const char *name;
        uint32_t kinds;
    } all[] = {
        { "mutex", SONDE_PROF__MUTEXES },   { "rwlock", SONDE_PROF__RWLOCKS },
        { "sem", SONDE_PROF__SEMAPHORES },  { "spin", SONDE_PROF__SPINS },
        { "cond", SONDE_PROF__CONDITIONS },
    };
    size_t i;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (sonde_str_eq_nocase(word, sonde_str_from(all[i].name)))
            return all[i].kinds;
    return 0;
}

static void settle_locks(sonde_prof__config *c)
{
    sonde_str rest = c->lock_kinds_told;

    while (rest.len > 0) {
        sonde_str one = sonde_str_trim(sonde_str_cut(&rest, ','));
        uint32_t kinds = lock_kinds_of(one);

        c->lock_kinds |= kinds;
        if (one.len > 0 && kinds == 0)
            complain("SONDE_PROFILING_LOCK_KINDS", one, "not a kind of lock",
                     SONDE_STR("the others"));
    }
    c->lock = c->lock && c->lock_kinds != 0;
}

static void settle(sonde_prof__config *c)
{
    if (!is_told(c, FIELD(enabled)) && has_word(c->injection, SONDE_STR("profiler"))) {
        c->enabled = SONDE_PROF__ON;
        c->is_asked_for = true;
    }
    c->is_asked_for = c->is_asked_for || is_told(c, FIELD(enabled));
    settle_preset(c);
    settle_events(c);
    settle_locks(c);
    settle_identity(c);
    settle_agent(c);
    if (c->cpu_engine != SONDE_PROF__ENGINE_PERF && c->cpu_frequency > TIMER_HZ_MAX)
        c->cpu_frequency = TIMER_HZ_MAX;
    c->cpu_period_ns = (uint64_t)(1e9 / c->cpu_frequency);
    c->heap = c->heap && c->alloc;
}

/* -- what is in force -------------------------------------------------------------------------------- */

/* The first spelling of a choice. */
static sonde_str choice_name(const sonde_prof__setting_row *row, uint32_t number)
{
    sonde_str rest = sonde_str_from(row->choices), one = { "", 0 };

    do {
        one = sonde_str_cut(&rest, ',');
    } while (number-- > 0);
    return sonde_str_cut(&one, '=');
}

static void print_field(const sonde_prof__config *c, const sonde_prof__setting_row *row,
                        char out[128])
{
    const void *field = (const char *)c + row->field;
    sonde_str text;

    switch (row->type) {
    case SONDE_PROF__TYPE_BOOL:
        (void)snprintf(out, 128, "%s", *(const bool *)field ? "true" : "false");
        break;
    case SONDE_PROF__TYPE_INT:
        (void)snprintf(out, 128, "%u", (unsigned)*(const uint32_t *)field);
        break;
    case SONDE_PROF__TYPE_NUMBER:
        (void)snprintf(out, 128, "%g", *(const double *)field);
        break;
    case SONDE_PROF__TYPE_DURATION:
        (void)snprintf(out, 128, "%gms", (double)*(const uint64_t *)field / SONDE_NS_PER_MS);
        break;
    case SONDE_PROF__TYPE_BYTES:
        (void)snprintf(out, 128, "%llu", (unsigned long long)*(const uint64_t *)field);
        break;
    case SONDE_PROF__TYPE_CHOICE:
        text = choice_name(row, *(const uint32_t *)field);
        (void)snprintf(out, 128, "%.*s", SONDE_STR_ARG(text));
        break;
    case SONDE_PROF__TYPE_LEVEL:
        (void)snprintf(out, 128, "%s", sonde_log_level_name(*(const sonde_log_level *)field));
        break;
    case SONDE_PROF__TYPE_TEXT:
    case SONDE_PROF__TYPES:
        memcpy(&text, field, sizeof(text));
        (void)snprintf(out, 128, "%.*s", (int)(text.len < 127 ? text.len : 127), text.ptr);
    }
}

static void show(const sonde_prof__config *c)
{
    static const char *const origins[] = { "default", "file", "environment", "code" };
    char value[128];
    size_t i;

    if (sonde_log_get_level() < SONDE_LOG_INFO)
        sonde_log_set_level(SONDE_LOG_INFO);
    for (i = 0; i < sonde_prof__setting_rows_len; i++) {
        const sonde_prof__setting_row *row = &sonde_prof__setting_rows[i];

        if (row->second)
            continue;
        print_field(c, row, value);
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "setting: %s=%s origin=%s", row->names[0],
                         SONDE_LOG_QUOTE(sonde_str_from(value)), origins[c->origin[i]]);
    }
    SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "setting: agent=%s", c->agent_text);
}

/* -- all of it -------------------------------------------------------------------------------------- */

static const char *from_process(void *user, const char *name)
{
    (void)user;
    return secure_getenv(name);
}

sonde_prof__config *sonde_prof__config_new_with(const sonde_prof_options *options,
                                                sonde_prof__lookup lookup, void *user,
                                                sonde_str file)
{
    sonde_prof_options o = { 0 };
    sources from = { &o, lookup ? lookup : from_process, user, file };
    size_t given = sizeof(o), i;
    sonde_prof__config *c = (sonde_prof__config *)sonde_calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    if (options && options->struct_bytes > 0 && options->struct_bytes < given)
        given = options->struct_bytes;
    if (options)
        memcpy(&o, options, given);
    sonde_arena_init(&c->texts, TEXTS_MAX_BYTES);
    for (i = 0; i < sonde_prof__setting_rows_len; i++) {
        read_row(c, i, &from);
        if (sonde_prof__setting_rows[i].field == FIELD(log_level))
            sonde_log_set_level(c->log_level); /* the first row: the others may complain */
    }
    settle(c);
    if (c->show_config)
        show(c);
    return c;
}

static void read_file(const char *path, sonde_buf *to)
{
    int fd = path && *path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
    ssize_t n = fd < 0 ? 0 : 1;

    while (n > 0) {
        uint8_t *room = sonde_buf_reserve(to, 4096);

        n = room ? read(fd, room, 4096) : 0;
        if (n > 0)
            sonde_buf_commit(to, (size_t)n);
    }
    if (fd >= 0)
        (void)close(fd);
    else if (path && *path)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "configuration file not read: file=%s",
                         SONDE_LOG_QUOTE(sonde_str_from(path)));
}

sonde_prof__config *sonde_prof__config_new(const sonde_prof_options *options,
                                           sonde_prof__lookup lookup, void *user)
{
    sonde_prof__config *c;
    sonde_buf file;

    sonde_buf_init(&file, FILE_MAX_BYTES);
    if (!lookup)
        read_file(from_process(NULL, "DD_PROFILING_NATIVE_CONFIG"), &file);
    c = sonde_prof__config_new_with(options, lookup, user, sonde_buf_str(&file));
    sonde_buf_done(&file);
    return c;
}

void sonde_prof__config_free(sonde_prof__config *c)
{
    if (!c)
        return;
    sonde_arena_done(&c->texts);
    sonde_free(c);
}
