/* config.c - builds the snapshot: defaults, the file, its overrides, the environment, then what follows.
 *
 * Threads   building: the caller's; afterwards nothing but the reference count changes.
 * Bounds    the arena: ARENA_MAX_BYTES.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "internal.h"

#define ARENA_MAX_BYTES   (8u * 1024 * 1024)
#define WARNING_MAX_BYTES 1024

sonde_str keep(builder *b, sonde_str text)
{
    sonde_str copy = sonde_arena_copy(&b->c->arena, text);

    if (!copy.ptr) {
        b->out_of_memory = true;
        return SONDE_STR("");
    }
    return copy;
}

SONDE_PRINTF(2, 0) static sonde_str keep_vprintf(builder *b, const char *fmt, va_list args)
{
    char text[WARNING_MAX_BYTES];
    int len = vsnprintf(text, sizeof(text), fmt, args);
    sonde_str view = { text, len < 0 ? 0 : (size_t)len };

    if (view.len >= sizeof(text))
        view.len = sonde_utf8_cut((sonde_str){ text, sizeof(text) - 1 }, sizeof(text) - 1);
    return keep(b, view);
}

sonde_str keep_printf(builder *b, const char *fmt, ...)
{
    va_list args;
    sonde_str text;

    va_start(args, fmt);
    text = keep_vprintf(b, fmt, args);
    va_end(args);
    return text;
}

void warn(builder *b, const char *fmt, ...)
{
    agent_config *c = b->c;
    va_list args;

    if (c->warnings_len == CONFIG_WARNINGS_MAX) {
        c->warnings_dropped++;
        return;
    }
    va_start(args, fmt);
    c->warnings[c->warnings_len++] = keep_vprintf(b, fmt, args);
    va_end(args);
}

void note(builder *b, const char *fmt, ...)
{
    agent_config *c = b->c;
    va_list args;

    if (c->notes_len == CONFIG_NOTES_MAX) {
        c->notes_dropped++;
        return;
    }
    va_start(args, fmt);
    c->notes[c->notes_len++] = keep_vprintf(b, fmt, args);
    va_end(args);
}

static void set_defaults(builder *b)
{
    for (size_t i = 0; i < config_keys_len; i++)
        key_set(b, &config_keys[i], sonde_str_from(config_keys[i].fallback), SONDE_STR("default"));
}

bool env_get(const config_options *options, sonde_str name, sonde_str *out_value)
{
    char *const *entry = options->environment;

    for (; entry && *entry; entry++) {
        sonde_str value = sonde_str_from(*entry);

        if (sonde_str_starts(value, name) && value.len > name.len && value.ptr[name.len] == '=') {
            *out_value = sonde_str_sub(value, name.len + 1, value.len);
            return true;
        }
    }
    return false;
}

const char *env_names(const char *name, const char *env, char room[CONFIG_ENV_NAME_MAX])
{
    size_t i = 0, len = 3;

    if (*env)
        return env;
    memcpy(room, "DD_", 3);
    for (; name[i] && len + 1 < CONFIG_ENV_NAME_MAX; i++)
        room[len++] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A')
                      : name[i] == '.'                 ? '_'
                                                       : name[i];
    room[len] = '\0';
    return room;
}

static void read_variable(builder *b, const config_key *key)
{
    char room[CONFIG_ENV_NAME_MAX];
    sonde_str names = sonde_str_from(env_names(key->name, key->env, room));

    while (names.len) {
        sonde_str name = sonde_str_cut(&names, ','), value;

        if (env_get(b->options, name, &value) && (value.len || key->empty_is_a_value)) {
            key_set(b, key, value, name);
            return;
        }
    }
}

static void note_variable(builder *b, const known_key *key)
{
    sonde_str names = sonde_str_from(key->env ? key->env : ""), value;

    if (key_find(sonde_str_from(key->name)))
        return; /* it does something by now */
    while (names.len) {
        sonde_str name = sonde_str_cut(&names, ',');

        if (env_get(b->options, name, &value) && value.len)
            note(b, "%.*s: " KNOWN_FORMAT, SONDE_STR_ARG(name),
                 KNOWN_ARG(sonde_str_from(key->name), key));
    }
}

static void read_environment(builder *b)
{
    for (size_t i = 0; i < config_keys_len; i++)
        read_variable(b, &config_keys[i]);
    for (size_t i = 0; i < known_keys_len; i++)
        note_variable(b, &known_keys[i]);
}

static sonde_status begin(builder *b, const config_options *options)
{
    agent_config *c = sonde_calloc(1, sizeof(*c));

    if (!c)
        return SONDE_ERR_NOMEM;
    atomic_init(&c->refs, 1);
    sonde_arena_init(&c->arena, ARENA_MAX_BYTES);
    *b = (builder){ .c = c, .options = options };
    c->origins = sonde_arena_zalloc(&c->arena, config_keys_len, sizeof(*c->origins));
    if (!c->origins) {
        config_put(c);
        return SONDE_ERR_NOMEM;
    }
    set_defaults(b);
    return SONDE_OK;
}

static sonde_status finish(builder *b, sonde_status status, agent_config **out_config)
{
    if (status == SONDE_OK) {
        read_environment(b);
        derive(b);
        if (b->out_of_memory)
            status = SONDE_ERR_NOMEM;
    }
    if (status != SONDE_OK) {
        config_put(b->c);
        return status;
    }
    *out_config = b->c;
    return SONDE_OK;
}

sonde_status config_load_text(const config_options *options, sonde_str yaml, const char *name,
                              agent_config **out_config, sonde_error *out_error)
{
    builder b;
    sonde_status status = begin(&b, options);

    if (status != SONDE_OK)
        return status;
    b.c->file = keep(&b, sonde_str_from(name));
    return finish(&b, read_yaml(&b, yaml, name, false, out_error), out_config);
}

sonde_status read_file(const char *path, sonde_buf *out, sonde_error *out_error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = 0;

    if (fd < 0)
        return errno == ENOENT
                   ? sonde_fail(out_error, SONDE_ERR_NOT_FOUND, "%s: no such file", path)
                   : sonde_fail_sys(out_error, errno, "%s", path);
    for (;;) {
        uint8_t *to = sonde_buf_reserve(out, 4096);

        if (!to)
            break;
        got = read(fd, to, 4096);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        sonde_buf_commit(out, (size_t)got);
    }
    if (got < 0)
        out->status = sonde_fail_sys(out_error, errno, "%s", path);
    else if (out->status == SONDE_ERR_TOO_BIG)
        (void)sonde_fail(out_error, SONDE_ERR_TOO_BIG, "%s: above 1 MiB", path);
    (void)close(fd);
    return out->status;
}

/* The main file may be missing when nobody named it. */
static sonde_status read_main_file(builder *b, const char *path, sonde_error *out_error)
{
    sonde_status status;
    sonde_buf text;

    sonde_buf_init(&text, CONFIG_FILE_MAX_BYTES);
    status = read_file(path, &text, out_error);
    if (status == SONDE_OK) {
        b->c->file = keep(b, sonde_str_from(path));
        status = read_yaml(b, sonde_buf_str(&text), path, false, out_error);
    } else if (status == SONDE_ERR_NOT_FOUND && !b->options->file) {
        status = SONDE_OK;
    }
    sonde_buf_done(&text);
    return status;
}

sonde_status config_load(const config_options *options, agent_config **out_config,
                         sonde_error *out_error)
{
    const char *path = options->file ? options->file : CONFIG_DEFAULT_FILE;
    builder b;
    sonde_status status = begin(&b, options);

    if (status != SONDE_OK)
        return status;
    status = read_main_file(&b, path, out_error);
    if (status == SONDE_OK)
        status = read_overrides(&b, path, out_error);
    return finish(&b, status, out_config);
}

agent_config *config_get(agent_config *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void config_put(agent_config *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    sonde_arena_done(&c->arena);
    sonde_free(c);
}

bool config_has_feature(const agent_config *c, const char *name)
{
    for (size_t i = 0; i < c->features.len; i++) {
        if (sonde_str_eq(c->features.items[i], sonde_str_from(name)))
            return true;
    }
    return false;
}

sonde_str config_origin(const agent_config *c, const char *key)
{
    const config_key *found = key_find(sonde_str_from(key));

    return found && c->origins ? c->origins[found - config_keys] : (sonde_str){ NULL, 0 };
}

void config_compare(const agent_config *before, const agent_config *after,
                    void (*tell)(void *user, const char *key, bool reloads), void *user)
{
    for (size_t i = 0; i < config_keys_len; i++)
        if (!key_equal(before, after, &config_keys[i]))
            tell(user, config_keys[i].name, config_keys[i].reloads);
}
