/* remote_state.c - the next list of files is complete before the former one is touched. */
#include "remote_state.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/log.h"

#include "counters.h"

/* An update being put together. */
typedef struct update {
    sonde__remote_file *file[SONDE__REMOTE_CONFIGS_MAX];
    bool is_held[SONDE__REMOTE_CONFIGS_MAX]; /* the former list owns it */
    uint32_t len;
    size_t bytes;
    char *error;
} update;

static bool reject(update *u, const char *what, sonde_str path)
{
    (void)snprintf(u->error, SONDE__REMOTE_ERROR_ROOM, "%s%s%s", what, path.len ? ": " : "",
                   path.len ? SONDE_LOG_QUOTE(sonde_str_sub(path, 0, 160)) : "");
    return false;
}

/* -- files ---------------------------------------------------------------------------------------- */

static sonde_str put(char **at, sonde_str text)
{
    sonde_str copy = { *at, text.len };

    memcpy(*at, text.len ? text.ptr : "", text.len);
    (*at)[text.len] = '\0';
    *at += text.len + 1;
    return copy;
}

static sonde__remote_file *new_file(const sonde__remote_target *t)
{
    sonde__remote_file *f = (sonde__remote_file *)sonde_malloc(
        sizeof(*f) + t->path.len + t->file.len + 2); /* both are bounded by the answer */
    char *at = (char *)(f + 1);

    if (!f)
        return NULL;
    f->path = put(&at, t->path);
    f->content = put(&at, t->file);
    (void)sonde__remote_path_parse(f->path, &f->parts); /* it was read once already */
    f->version = t->version;
    memcpy(f->sha256, t->sha256, sizeof(f->sha256));
    f->state = SONDE__CONFIG_NEW;
    f->error[0] = '\0';
    return f;
}

void sonde__remote_file_fail(sonde__remote_file *f, const char *error)
{
    (void)snprintf(f->error, sizeof(f->error), "%s", error);
    if (f->state == SONDE__CONFIG_ERROR)
        return; /* it was said */
    f->state = SONDE__CONFIG_ERROR;
    sonde__count(SONDE__REMOTE_REJECTED, 1);
    SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "remote configuration not used: path=%s reason=\"%s\"",
                     SONDE_LOG_QUOTE(f->path), f->error);
}

static sonde__remote_file *find_held(const sonde__remote_state *s, const sonde__remote_target *t)
{
    uint32_t i;

    for (i = 0; i < s->len; i++)
        if (sonde_str_eq(s->file[i]->path, t->path) &&
            memcmp(s->file[i]->sha256, t->sha256, sizeof(t->sha256)) == 0)
            return s->file[i];
    return NULL;
}

/* -- an update ------------------------------------------------------------------------------------ */

static bool is_as_described(const sonde__remote_target *t)
{
    uint8_t sha256[32];

    if (t->file.len != t->length)
        return false;
    sonde_sha256(t->file.ptr, t->file.len, sha256);
    return memcmp(sha256, t->sha256, sizeof(sha256)) == 0;
}

static bool add_target(update *u, const sonde__remote_state *s, const sonde__remote_target *t)
{
    sonde__remote_file *f;

    if (!t->described)
        return reject(u, "not in the targets", t->path);
    f = find_held(s, t);
    u->is_held[u->len] = f != NULL;
    if (!f && !t->file.ptr)
        return reject(u, "no file for", t->path);
    if (!f && !is_as_described(t))
        return reject(u, "length or hash is wrong", t->path);
    u->bytes += f ? f->content.len : t->file.len;
    if (u->bytes > SONDE__REMOTE_HELD_MAX_BYTES)
        return reject(u, "too many bytes of configuration", (sonde_str){ NULL, 0 });
    if (!f)
        f = new_file(t);
    if (!f)
        return reject(u, "no memory", t->path);
    u->file[u->len++] = f;
    return true;
}

static bool add_targets(update *u, const sonde__remote_state *s, const sonde__remote_answer *a)
{
    uint32_t i;

    for (i = 0; i < a->len; i++)
        if (!add_target(u, s, &a->target[i]))
            return false;
    return true;
}

static void give_up(update *u)
{
    uint32_t i;

    for (i = 0; i < u->len; i++)
        if (!u->is_held[i])
            sonde_free(u->file[i]);
}

/* True when the lists differ. */
static bool commit(sonde__remote_state *s, update *u, const sonde__remote_answer *a)
{
    uint32_t held = 0;
    uint32_t i, j;

    for (i = 0; i < s->len; i++) {
        for (j = 0; j < u->len && u->file[j] != s->file[i]; j++)
            ;
        if (j == u->len)
            sonde_free(s->file[i]);
    }
    for (j = 0; j < u->len; j++) {
        held += u->is_held[j];
        u->file[j]->version = a->target[j].version;
    }
    i = s->len;
    memcpy(s->file, u->file, sizeof(s->file));
    s->len = u->len;
    return held != u->len || i != u->len;
}

static bool take_backend_state(update *u, sonde__remote_state *s, sonde_str text)
{
    char *copy;

    if (sonde_str_eq(text, s->backend_state))
        return true;
    copy = sonde_strndup(text.ptr, text.len);
    if (!copy)
        return reject(u, "no memory", (sonde_str){ NULL, 0 });
    sonde_free((char *)(uintptr_t)s->backend_state.ptr);
    s->backend_state = (sonde_str){ copy, text.len };
    return true;
}

static bool take(sonde__remote_state *s, const sonde__remote_answer *a)
{
    update u = { .error = s->error };

    s->error[0] = '\0';
    if (!a->says_something)
        return false;
    if (!add_targets(&u, s, a) || !take_backend_state(&u, s, a->backend_state)) {
        give_up(&u);
        return false;
    }
    s->targets_version = a->version;
    return commit(s, &u, a);
}

bool sonde__remote_state_take(sonde__remote_state *s, sonde_str body)
{
    sonde__remote_answer a;
    bool changed = false;

    if (sonde__remote_answer_parse(body, &a, s->error) == SONDE_OK) {
        changed = take(s, &a);
        sonde__remote_answer_done(&a);
    }
    if (s->error[0] != '\0')
        SONDE_LOG(SONDE_LOG_WARN, "remote configuration rejected: reason=\"%s\"", s->error);
    return changed;
}

void sonde__remote_state_done(sonde__remote_state *s)
{
    uint32_t i;

    for (i = 0; i < s->len; i++)
        sonde_free(s->file[i]);
    sonde_free((char *)(uintptr_t)s->backend_state.ptr);
    memset(s, 0, sizeof(*s));
}
