/* redact.c - one pass over the text; at every place the longest reason to cut wins. */
#include "redact.h"

#include <stdbool.h>
#include <strings.h>

#define CUT         "***"
#define SECRETS_MAX 64
#define SECRET_MIN  4 /* shorter ones would cut ordinary words */

typedef struct secrets {
    sonde_str item[SECRETS_MAX];
    size_t len;
} secrets;

static void keep_secret(void *user, sonde_str secret)
{
    secrets *all = user;

    if (secret.len >= SECRET_MIN && all->len < SECRETS_MAX)
        all->item[all->len++] = secret;
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Length of the secret that begins at the start of `s`; 0: none. */
static size_t known_secret(const secrets *all, sonde_str s)
{
    size_t longest = 0;

    for (size_t i = 0; i < all->len; i++)
        if (all->item[i].len > longest && sonde_str_starts(s, all->item[i]))
            longest = all->item[i].len;
    return longest;
}

/* Length of a word of hex digits as long as a key's. */
static size_t key_shaped(sonde_str s)
{
    size_t len = 0;

    while (len < s.len && is_hex(s.ptr[len]))
        len++;
    if (len < s.len && is_word(s.ptr[len]))
        return 0;
    return len == 32 || len == 40 ? len : 0;
}

/* Length of a name that sounds secret, with what stands between it and its value. */
static size_t secret_name(sonde_str s)
{
    static const char *const names[] = { "api_key", "api-key",       "apikey",
                                         "app_key", "password",      "passwd",
                                         "secret",  "authorization", "token" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t len = strlen(names[i]);

        if (s.len <= len || strncasecmp(s.ptr, names[i], len) != 0)
            continue;
        while (len < s.len && (s.ptr[len] == '"' || s.ptr[len] == '\''))
            len++;
        if (len == s.len || (s.ptr[len] != ':' && s.ptr[len] != '='))
            continue;
        len++;
        while (len < s.len && memchr(" \t\"'", s.ptr[len], 4))
            len++;
        return len;
    }
    return 0;
}

/* Length of "user:password" behind the "://" at the start of `s`; 0: none. */
static size_t user_info(sonde_str s)
{
    size_t len = 3;

    if (!sonde_str_starts(s, SONDE_STR("://")))
        return 0;
    while (len < s.len && !memchr("@/ \t\r\n\"',", s.ptr[len], 9))
        len++;
    return len < s.len && s.ptr[len] == '@' ? len - 3 : 0;
}

static size_t value_len(sonde_str s)
{
    size_t len = 0;

    while (len < s.len && !memchr(" \t\r\n\"',;&}", s.ptr[len], 10))
        len++;
    return len;
}

void redact(const agent_config *c, sonde_str text, sonde_buf *out)
{
    secrets all = { .len = 0 };
    size_t i = 0;

    if (c)
        config_each_secret(c, keep_secret, &all);
    while (i < text.len) {
        sonde_str rest = sonde_str_sub(text, i, text.len);
        bool begins_word = i == 0 || !is_word(text.ptr[i - 1]);
        size_t cut = known_secret(&all, rest), named = secret_name(rest);

        if (!cut && begins_word)
            cut = key_shaped(rest);
        if (!cut && user_info(rest)) {
            sonde_buf_append_str(out, SONDE_STR("://"));
            i += 3;
            cut = user_info(rest);
        } else if (!cut && named) {
            sonde_buf_append(out, rest.ptr, named);
            i += named;
            cut = value_len(sonde_str_sub(text, i, text.len));
        }
        if (cut)
            sonde_buf_append_str(out, SONDE_STR(CUT));
        else if (!named)
            sonde_buf_append_byte(out, (uint8_t)text.ptr[i++]);
        i += cut;
    }
}
