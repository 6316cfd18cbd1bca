/* obfuscate_redis.c - one command a line; its first word, for some its second. */
#include "codec/obfuscate.h"

#define COMMANDS_MAX 3

static bool has_two_words(sonde_str command)
{
    static const char *const names[] = {
        "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DEBUG", "SCRIPT"
    };
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (sonde_str_eq_nocase(command, sonde_str_from(names[i])))
            return true;
    return false;
}

static sonde_str next_word(sonde_str *line)
{
    while (line->len > 0 && line->ptr[0] == ' ')
        *line = sonde_str_sub(*line, 1, line->len);
    return sonde_str_cut(line, ' ');
}

static bool is_truncated(sonde_str word)
{
    return sonde_str_ends(word, SONDE_STR("..."));
}

static void write_word(sonde_buf *out, sonde_str word)
{
    size_t i;

    if (out->len > 0)
        sonde_buf_append_byte(out, ' ');
    for (i = 0; i < word.len; i++) {
        char c = word.ptr[i];

        sonde_buf_append_byte(out, (uint8_t)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c));
    }
}

sonde_status sonde_obfuscate_redis(sonde_str resource, sonde_buf *out)
{
    bool truncated = false;
    int commands = 0;

    sonde_buf_reset(out);
    while (resource.len > 0 && commands < COMMANDS_MAX) {
        sonde_str line = sonde_str_cut(&resource, '\n');
        sonde_str word = next_word(&line);
        sonde_str second = has_two_words(word) ? next_word(&line) : SONDE_STR("");

        if (word.len == 0)
            continue;
        truncated = is_truncated(word) || is_truncated(second);
        if (truncated)
            continue;
        write_word(out, word);
        if (second.len > 0)
            write_word(out, second);
        commands++;
    }
    if (commands == COMMANDS_MAX || truncated)
        write_word(out, SONDE_STR("..."));
    return out->status;
}
