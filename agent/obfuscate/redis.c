/* redis.c - arguments of Redis' commands; which of them are values is in one table.
 *
 * Arguments are written as they are found, so that any number of them needs no memory. */
#include "agent/obfuscate/obfuscators.h"

typedef enum redis_rule {
    RULE_NONE,
    RULE_ALL,      /* one `?` from argument `n` on */
    RULE_ONE,      /* argument `n` */
    RULE_STEP,     /* every `step`th from argument `n` on */
    RULE_CONFIG,   /* argument 3 of SET */
    RULE_BITFIELD, /* the value of the first SET */
    RULE_ZADD,     /* every second behind key and options */
} redis_rule;

typedef struct command_rule {
    const char *command;
    redis_rule rule;
    unsigned n, step; /* counted from 1 */
} command_rule;

static const command_rule rules[] = {
    { "AUTH", RULE_ALL, 1, 0 },          { "MIGRATE", RULE_ALL, 1, 0 },
    { "HELLO", RULE_ALL, 1, 0 },         { "ACL", RULE_ALL, 2, 0 },
    { "APPEND", RULE_ONE, 2, 0 },        { "GETSET", RULE_ONE, 2, 0 },
    { "LPUSHX", RULE_ONE, 2, 0 },        { "GEORADIUSBYMEMBER", RULE_ONE, 2, 0 },
    { "RPUSHX", RULE_ONE, 2, 0 },        { "SET", RULE_ONE, 2, 0 },
    { "SETNX", RULE_ONE, 2, 0 },         { "SISMEMBER", RULE_ONE, 2, 0 },
    { "ZRANK", RULE_ONE, 2, 0 },         { "ZREVRANK", RULE_ONE, 2, 0 },
    { "ZSCORE", RULE_ONE, 2, 0 },        { "HSETNX", RULE_ONE, 3, 0 },
    { "LREM", RULE_ONE, 3, 0 },          { "LSET", RULE_ONE, 3, 0 },
    { "SETBIT", RULE_ONE, 3, 0 },        { "SETEX", RULE_ONE, 3, 0 },
    { "PSETEX", RULE_ONE, 3, 0 },        { "SETRANGE", RULE_ONE, 3, 0 },
    { "ZINCRBY", RULE_ONE, 3, 0 },       { "SMOVE", RULE_ONE, 3, 0 },
    { "RESTORE", RULE_ONE, 3, 0 },       { "LINSERT", RULE_ONE, 4, 0 },
    { "GEOHASH", RULE_ALL, 2, 0 },       { "GEOPOS", RULE_ALL, 2, 0 },
    { "GEODIST", RULE_ALL, 2, 0 },       { "LPUSH", RULE_ALL, 2, 0 },
    { "RPUSH", RULE_ALL, 2, 0 },         { "SREM", RULE_ALL, 2, 0 },
    { "ZREM", RULE_ALL, 2, 0 },          { "SADD", RULE_ALL, 2, 0 },
    { "GEOADD", RULE_STEP, 4, 3 },       { "HSET", RULE_STEP, 3, 2 },
    { "HMSET", RULE_STEP, 3, 2 },        { "MSET", RULE_STEP, 2, 2 },
    { "MSETNX", RULE_STEP, 2, 2 },       { "CONFIG", RULE_CONFIG, 0, 0 },
    { "BITFIELD", RULE_BITFIELD, 0, 0 }, { "ZADD", RULE_ZADD, 0, 0 },
};

static const command_rule no_rule = { "", RULE_NONE, 0, 0 };

static const command_rule *find_rule(sonde_str command)
{
    size_t i;

    for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (sonde_str_eq_nocase(command, sonde_str_from(rules[i].command)))
            return &rules[i];
    return &no_rule;
}

/* What is known of the command while its arguments go by. */
typedef struct command_state {
    const command_rule *rule;
    unsigned n;    /* the argument at hand, from 1 */
    unsigned from; /* CONFIG, BITFIELD: of SET; ZADD: the last option */
    bool is_done;  /* nothing of it is written any more */
} command_state;

static bool is_zadd_option(sonde_str s)
{
    return sonde_str_eq(s, SONDE_STR("NX")) || sonde_str_eq(s, SONDE_STR("XX")) ||
           sonde_str_eq(s, SONDE_STR("CH")) || sonde_str_eq(s, SONDE_STR("INCR"));
}

static bool is_config_value(command_state *c, sonde_str argument)
{
    if (c->n == 1 && sonde_str_eq_nocase(argument, SONDE_STR("SET")))
        c->from = 1;
    return c->from && c->n == 3;
}

/* A SET behind another begins the count anew; the key may not be called so. */
static bool is_bitfield_value(command_state *c, sonde_str argument)
{
    if (c->n > 1 && c->from != UINT32_MAX && sonde_str_eq_nocase(argument, SONDE_STR("SET")))
        c->from = c->n;
    if (!c->from || c->from == UINT32_MAX || c->n - c->from != 3)
        return false;
    c->from = UINT32_MAX;
    return true;
}

static bool is_zadd_value(command_state *c, sonde_str argument)
{
    if (c->n == 1 || (c->n == c->from + 1 && is_zadd_option(argument))) {
        c->from = c->n;
        return false;
    }
    return (c->n - c->from) % 2 == 0;
}

static bool is_value(command_state *c, sonde_str argument)
{
    switch (c->rule->rule) {
    case RULE_NONE:
        return false;
    case RULE_ALL:
        c->is_done = c->n == c->rule->n;
        return c->is_done;
    case RULE_ONE:
        return c->n == c->rule->n;
    case RULE_STEP:
        return c->n >= c->rule->n && (c->n - c->rule->n) % c->rule->step == 0;
    case RULE_CONFIG:
        return is_config_value(c, argument);
    case RULE_BITFIELD:
        return is_bitfield_value(c, argument);
    case RULE_ZADD:
        return is_zadd_value(c, argument);
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static sonde_str trim(sonde_str s)
{
    while (s.len > 0 && is_blank(s.ptr[0]))
        s = sonde_str_sub(s, 1, s.len);
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* Blanks between arguments; a line's end is left. */
static void skip_blanks(sonde_str *rest)
{
    while (rest->len > 0 && (rest->ptr[0] == ' ' || rest->ptr[0] == '\t' || rest->ptr[0] == '\r'))
        *rest = sonde_str_sub(*rest, 1, rest->len);
}

static sonde_str take_command(sonde_str *rest)
{
    size_t n = 0;
    sonde_str word;

    while (n < rest->len && rest->ptr[n] != ' ' && rest->ptr[n] != '\n')
        n++;
    word = sonde_str_sub(*rest, 0, n);
    *rest = sonde_str_sub(*rest, n, rest->len);
    return word;
}

/* Up to a blank or a line's end outside quotes, of which \" is none. */
static sonde_str take_argument(sonde_str *rest)
{
    bool is_quoted = false;
    bool is_escaped = false;
    sonde_str argument;
    size_t n;

    for (n = 0; n < rest->len; n++) {
        char c = rest->ptr[n];

        if (!is_quoted && (c == ' ' || c == '\n'))
            break;
        if (c == '"' && !is_escaped)
            is_quoted = !is_quoted;
        is_escaped = c == '\\' && !is_escaped;
    }
    argument = sonde_str_sub(*rest, 0, n);
    *rest = sonde_str_sub(*rest, n, rest->len);
    return argument;
}

static void put_command(sonde_str *rest, sonde_buf *out)
{
    sonde_str command = take_command(rest);
    command_state c = { .rule = find_rule(command) };

    sonde_buf_append_str(out, command);
    skip_blanks(rest);
    while (rest->len > 0 && rest->ptr[0] != '\n') {
        sonde_str argument = take_argument(rest);
        bool was_done = c.is_done;

        skip_blanks(rest);
        if (was_done)
            continue;
        c.n++;
        sonde_buf_append_byte(out, ' ');
        sonde_buf_append_str(out, is_value(&c, argument) ? SONDE_STR("?") : argument);
    }
}

sonde_status obfuscate_redis_arguments(sonde_str commands, sonde_buf *out)
{
    sonde_str rest = trim(commands);

    sonde_buf_reset(out);
    while (rest.len > 0) {
        if (rest.ptr[0] == '\n' || rest.ptr[0] == ' ') {
            bool is_blank_line = rest.ptr[0] == '\n';

            rest = sonde_str_sub(rest, 1, rest.len);
            if (!is_blank_line)
                skip_blanks(&rest);
            continue;
        }
        if (out->len > 0)
            sonde_buf_append_byte(out, '\n');
        put_command(&rest, out);
    }
    return out->status;
}

static sonde_str take_field(sonde_str *rest)
{
    size_t n = 0;
    sonde_str field;

    *rest = trim(*rest);
    while (n < rest->len && !is_blank(rest->ptr[n]))
        n++;
    field = sonde_str_sub(*rest, 0, n);
    *rest = sonde_str_sub(*rest, n, rest->len);
    return field;
}

static bool is_one_of(sonde_str s, const char *const *names, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++)
        if (sonde_str_eq_nocase(s, sonde_str_from(names[i])))
            return true;
    return false;
}

/* ` SUB ?` for each sub-command */
static void put_bitfield(sonde_str rest, sonde_buf *out)
{
    static const char *const known[] = { "GET", "SET", "INCRBY" };
    sonde_str field;

    sonde_buf_append_str(out, SONDE_STR(" ?"));
    while ((field = take_field(&rest)).len > 0) {
        if (!is_one_of(field, known, 3))
            continue;
        sonde_buf_append_byte(out, ' ');
        sonde_buf_append_str(out, field);
        sonde_buf_append_str(out, SONDE_STR(" ?"));
    }
}

sonde_status obfuscate_redis_all_arguments(sonde_str text, sonde_buf *out)
{
    static const char *const known[] = { "GET", "SET", "RESETSTAT", "REWRITE" };
    sonde_str rest = trim(text);
    sonde_str command = take_field(&rest);
    sonde_str field;

    sonde_buf_reset(out);
    sonde_buf_append_str(out, command);
    rest = trim(rest);
    if (rest.len == 0)
        return out->status;
    if (sonde_str_eq_nocase(command, SONDE_STR("BITFIELD"))) {
        put_bitfield(rest, out);
        return out->status;
    }
    field = take_field(&rest);
    if (sonde_str_eq_nocase(command, SONDE_STR("CONFIG")) && is_one_of(field, known, 4)) {
        sonde_buf_append_byte(out, ' ');
        sonde_buf_append_str(out, field);
    }
    sonde_buf_append_str(out, SONDE_STR(" ?"));
    return out->status;
}

sonde_str obfuscate_memcached(sonde_str text)
{
    size_t at;

    if (sonde_str_find(text, SONDE_STR("\r\n"), &at))
        text.len = at;
    return trim(text);
}
