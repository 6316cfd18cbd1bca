/* fuzz_replace.c - a pattern, a NUL, a template, a NUL, a text: one rule for every tag.
 *
 * Property   no input crashes; where the pattern does not match nothing changes; an empty template makes no text
 *            longer; `$0` leaves it as it is; what comes out is UTF-8 if all that went in is. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/rules/rules.h"
#include "base/regex.h"
#include "codec/json_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

/* The text after one rule; NULL ptr: the rule was not taken, or the text grew beyond its ceiling. */
static sonde_str replaced(sonde_str pattern, sonde_str repl, sonde_str text, sonde_arena *arena)
{
    agent_config c = { .replace_tags = { NULL, 0 }, .refs = 1 };
    span_meta meta[1] = { { SONDE_STR("t"), text } };
    payload_span s = { .meta = meta, .meta_len = 1, .meta_cap = 1 };
    sonde_json_writer w;
    trace_rules *r = NULL;
    sonde_buf json;

    sonde_buf_init(&json, 1u << 20);
    sonde_json_writer_init(&w, &json);
    sonde_json_begin_array(&w);
    sonde_json_begin_object(&w);
    sonde_json_put_str(&w, "name", SONDE_STR("*"));
    sonde_json_put_str(&w, "pattern", pattern);
    sonde_json_put_str(&w, "repl", repl);
    sonde_json_end_object(&w);
    sonde_json_end_array(&w);
    c.replace_tags = sonde_buf_str(&json);
    if (rules_open(&c, 1, &r, NULL) == SONDE_OK) {
        rules_lane *lane = rules_take(r);

        if (rules_replace(lane, &s, arena) != SONDE_OK)
            meta[0].value = (sonde_str){ NULL, 0 };
        rules_give(r, lane);
    } else {
        meta[0].value = (sonde_str){ NULL, 0 };
    }
    rules_close(r);
    sonde_buf_done(&json);
    return meta[0].value;
}

static void check(sonde_str pattern, sonde_str repl, sonde_str text)
{
    sonde_regex *re = NULL;
    sonde_arena arena;
    sonde_str got;

    if (pattern.len == 0 || !sonde_utf8_valid(pattern) || !sonde_utf8_valid(repl) ||
        sonde_regex_compile(pattern, &re, NULL) != SONDE_OK)
        return;
    sonde_arena_init(&arena, 1u << 24);
    got = replaced(pattern, repl, text, &arena);
    require(!got.ptr || !sonde_utf8_valid(text) || sonde_utf8_valid(got));
    require(!got.ptr || sonde_regex_matches(re, text) || sonde_str_eq(got, text));
    got = replaced(pattern, SONDE_STR(""), text, &arena);
    require(!got.ptr || got.len <= text.len);
    got = replaced(pattern, SONDE_STR("${0}"), text, &arena);
    require(!got.ptr || sonde_str_eq(got, text));
    sonde_regex_free(re);
    sonde_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str text = { (const char *)data, size };
    sonde_str pattern = sonde_str_cut(&text, '\0');
    sonde_str repl = sonde_str_cut(&text, '\0');

    if (size > 1u << 12)
        return 0;
    check(pattern, repl, text);
    return 0;
}
