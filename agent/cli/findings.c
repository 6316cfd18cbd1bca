/* findings.c - a list and its two forms. */
#include "findings.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/str.h"
#include "codec/json_write.h"

static const char *const states[] = { "ok", "warning", "failed", "skipped" };

void findings_add(findings *f, const char *step, finding_state state, const char *fix,
                  const char *fmt, ...)
{
    va_list args;
    finding *item;

    if (f->len == FINDINGS_MAX)
        return;
    item = &f->item[f->len++];
    item->step = step;
    item->state = state;
    va_start(args, fmt);
    (void)vsnprintf(item->detail, sizeof(item->detail), fmt, args);
    va_end(args);
    (void)snprintf(item->fix, sizeof(item->fix), "%s", fix ? fix : "");
}

static const finding *first_failed(const findings *f)
{
    for (size_t i = 0; i < f->len; i++)
        if (f->item[i].state == FINDING_FAILED)
            return &f->item[i];
    return NULL;
}

bool findings_failed(const findings *f)
{
    return first_failed(f) != NULL;
}

static void put_state(finding_state state, bool in_colour, sonde_buf *out)
{
    static const char *const colours[] = { "\033[32m", "\033[33m", "\033[31m", "\033[2m" };

    if (in_colour)
        sonde_buf_printf(out, "%s%-8s\033[0m ", colours[state], states[state]);
    else
        sonde_buf_printf(out, "%-8s ", states[state]);
}

void findings_text(const findings *f, bool in_colour, sonde_buf *out)
{
    const finding *failed = first_failed(f);

    for (size_t i = 0; i < f->len; i++) {
        const finding *item = &f->item[i];

        put_state(item->state, in_colour, out);
        sonde_buf_printf(out, "%-14s %s\n", item->step, item->detail);
        if (item->fix[0])
            sonde_buf_printf(out, "%-8s %-14s fix: %s\n", "", "", item->fix);
    }
    if (failed)
        sonde_buf_printf(out, "\n%s failed: %s\n", failed->step, failed->detail);
    else
        sonde_buf_printf(out, "\nEverything works.\n");
}

void findings_json(const findings *f, sonde_buf *out)
{
    const finding *failed = first_failed(f);
    sonde_json_writer w;

    sonde_json_writer_init(&w, out);
    sonde_json_begin_object(&w);
    sonde_json_put_bool(&w, "ok", !failed);
    sonde_json_key(&w, SONDE_STR("failed"));
    if (failed)
        sonde_json_str(&w, sonde_str_from(failed->step));
    else
        sonde_json_null(&w);
    sonde_json_key(&w, SONDE_STR("steps"));
    sonde_json_begin_array(&w);
    for (size_t i = 0; i < f->len; i++) {
        const finding *item = &f->item[i];

        sonde_json_begin_object(&w);
        sonde_json_put_str(&w, "step", sonde_str_from(item->step));
        sonde_json_put_str(&w, "state", sonde_str_from(states[item->state]));
        sonde_json_put_str(&w, "detail", sonde_str_from(item->detail));
        sonde_json_put_str(&w, "fix", sonde_str_from(item->fix));
        sonde_json_end_object(&w);
    }
    sonde_json_end_array(&w);
    sonde_json_end_object(&w);
    sonde_buf_append_byte(out, '\n');
}
