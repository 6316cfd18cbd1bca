/* fuzz_statsd.c - texts of the program on the way into lines, addresses, and the kernel's texts.
 *
 * The input is cut at NUL into name, tags, member, text.
 *
 * Properties: an address that is read prints as one that is read the same; a metric is one line that
 * an agent's parser takes apart into the same number of fields; an event's lengths are those of what
 * follows; a check has its state in the third place; nothing is written behind the room given. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "libtrace/src/runtime_metrics.h"
#include "libtrace/src/statsd_line.h"
#include "libtrace/src/statsd_socket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM 512

static const sonde__statsd_shared shared = { .tags = { "env:dev", 7 },
                                             .local_data = { "in-1", 4 },
                                             .cardinality = SONDE__CARDINALITY_LOW };

static void must(int true_now)
{
    if (!true_now)
        abort();
}

static void read_address(sonde_str text)
{
    sonde__statsd_address a, b;
    char printed[300], again[300];

    if (sonde__statsd_address_parse(text, &a) != SONDE_OK)
        return;
    sonde__statsd_address_print(&a, printed);
    must(sonde__statsd_address_parse(sonde_str_from(printed), &b) == SONDE_OK);
    sonde__statsd_address_print(&b, again);
    must(a.kind == b.kind && a.port == b.port && strcmp(printed, again) == 0);
}

/* The line without its end, after looking at it and at the byte behind the room. */
static sonde_str one_line(const char *from, const char *behind, const char *end)
{
    size_t len = (size_t)(behind - from);

    must(*end == '!' && behind > from && behind <= end && behind[-1] == '\n');
    must(memchr(from, '\n', len) == behind - 1 && !memchr(from, '\0', len));
    return (sonde_str){ from, len - 1 };
}

static void look_at_fields(sonde_str rest)
{
    while (rest.len > 0) {
        sonde_str field = sonde_str_cut(&rest, '|');

        must(sonde_str_starts(field, SONDE_STR("#")) ||
             sonde_str_starts(field, SONDE_STR("c:in-1")) ||
             sonde_str_eq(field, SONDE_STR("card:low")) || sonde_str_eq(field, SONDE_STR("@0.5")));
    }
}

static void put_metric(int32_t type, sonde_str name, sonde_str tags, sonde_str member, size_t room)
{
    const double values[] = { 1, 2.5, -3 };
    sonde__statsd_line line = { .type = type,
                                .name = name,
                                .tags = tags,
                                .member = member,
                                .values = values,
                                .values_len = 3,
                                .rate = 0.5 };
    char out[ROOM + 1];
    size_t at = 0;

    memset(out, '!', sizeof(out));
    while (at < 3) {
        char *behind = sonde__statsd_put_metric(&shared, &line, &at, out, out + room);
        sonde_str rest, value;

        if (!behind) {
            must(out[room] == '!');
            return;
        }
        rest = one_line(out, behind, out + room);
        must(!sonde_str_starts(rest, SONDE_STR("_e{")) &&
             !sonde_str_starts(rest, SONDE_STR("_sc")));
        value = sonde_str_cut(&rest, '|');
        must(sonde_str_cut(&value, ':').len > 0 && value.len > 0);
        must(sonde_str_cut(&rest, '|').len <= 2);
        look_at_fields(rest);
    }
}

static void put_event(const char *title, const char *text, const char *tags)
{
    sonde_statsd_event e = { .title = title, .text = text, .host = tags, .tags = tags };
    char out[2 * ROOM + 1];
    sonde_str line, number;
    uint64_t title_len = 0, text_len = 0;
    char *behind;

    memset(out, '!', sizeof(out));
    behind = sonde__statsd_put_event(&shared, &e, out, out + 2 * ROOM);
    if (!behind)
        return;
    line = one_line(out, behind, out + 2 * ROOM);
    line = sonde_str_sub(line, 3, line.len);
    number = sonde_str_cut(&line, ',');
    must(sonde_parse_u64(number, &title_len) == SONDE_OK);
    number = sonde_str_cut(&line, '}');
    must(sonde_parse_u64(number, &text_len) == SONDE_OK);
    must(line.len > title_len + text_len + 1 && line.ptr[0] == ':' &&
         line.ptr[1 + title_len] == '|');
    line = sonde_str_sub(line, 2 + title_len + text_len, line.len);
    must(line.len > 0 && line.ptr[0] == '|');
}

static void put_check(const char *name, const char *message, const char *tags)
{
    sonde_statsd_check c = {
        .name = name, .state = SONDE_STATSD_CRITICAL, .message = message, .tags = tags
    };
    char out[2 * ROOM + 1];
    sonde_str line;
    char *behind;

    memset(out, '!', sizeof(out));
    behind = sonde__statsd_put_check(&shared, &c, out, out + 2 * ROOM);
    if (!behind)
        return;
    line = one_line(out, behind, out + 2 * ROOM);
    must(sonde_str_eq(sonde_str_cut(&line, '|'), SONDE_STR("_sc")));
    must(sonde_str_cut(&line, '|').len == strlen(name));
    must(sonde_str_eq(sonde_str_cut(&line, '|'), SONDE_STR("2")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *part[4] = { "", "", "", "" };
    char text[1024];
    size_t i, parts = 1;
    sonde__runtime r;

    if (size == 0 || size >= sizeof(text))
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    read_address((sonde_str){ text, size });
    (void)sonde__runtime_threads((sonde_str){ text, size });
    sonde__runtime_memory((sonde_str){ text, size }, 4096, &r);
    part[0] = text;
    for (i = 0; i < size && parts < 4; i++)
        if (text[i] == '\0')
            part[parts++] = text + i + 1;
    if (part[0][0] == '\0')
        return 0;
    for (i = 0; i < SONDE_STATSD_TYPES; i++) {
        sonde_str member = sonde_str_from(part[2][0] ? part[2] : "m");

        put_metric((int32_t)i, sonde_str_from(part[0]), sonde_str_from(part[1]), member, ROOM);
        put_metric((int32_t)i, sonde_str_from(part[0]), sonde_str_from(part[1]), member, size % 60);
    }
    put_event(part[0], part[3], part[1]);
    put_check(part[0], part[3], part[1]);
    return 0;
}
