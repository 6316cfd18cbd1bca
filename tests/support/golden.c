/* golden.c - reads hexadecimal text; see golden.h.
 *
 * Threads   the test's own: failures leave by longjmp. */
#include "support/golden.h"

#include <stdio.h>

#include "support/test.h"

static int digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static int next_digit(const char **text) /* -1 at the end; a malformed one fails the test */
{
    const char *p = *text;
    int value;

    while (*p == ' ' || *p == '\n' || *p == '\t' || *p == '#')
        p += *p == '#' ? strcspn(p, "\n") : 1;
    value = *p ? digit(*p) : -1;
    if (*p && value < 0)
        fail_msg("not a lower-case hexadecimal digit: %.20s", p);
    *text = value < 0 ? p : p + 1;
    return value;
}

void golden_bytes(const char *hex, sonde_buf *out)
{
    int high, low;

    sonde_buf_init(out, GOLDEN_MAX_BYTES);
    while ((high = next_digit(&hex)) >= 0) {
        low = next_digit(&hex);
        if (low < 0)
            fail_msg("an odd number of hexadecimal digits");
        sonde_buf_append_byte(out, (uint8_t)(high * 16 + low));
    }
    assert_status(out->status, SONDE_OK);
}

void golden_load(const char *name, sonde_buf *out)
{
    static char text[64 * 1024];
    char path[512];
    size_t len;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", SONDE_GOLDEN_DIR, name);
    file = fopen(path, "r");
    if (!file)
        fail_msg("%s: cannot be opened", path);
    len = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    text[len] = '\0';
    golden_bytes(text, out);
}

static const char *hex_of(sonde_str bytes, char *out, size_t out_bytes)
{
    static const char digits[] = "0123456789abcdef";
    size_t i, at = 0;

    for (i = 0; i < bytes.len && at + 3 < out_bytes; i++) {
        out[at++] = digits[(uint8_t)bytes.ptr[i] >> 4];
        out[at++] = digits[(uint8_t)bytes.ptr[i] & 15];
    }
    out[at] = '\0';
    return out;
}

void golden_expect(const char *name, sonde_str got)
{
    char got_hex[2048], want_hex[2048];
    sonde_buf want;
    bool same;

    golden_load(name, &want);
    same = sonde_str_eq(got, sonde_buf_str(&want));
    (void)hex_of(sonde_buf_str(&want), want_hex, sizeof(want_hex));
    sonde_buf_done(&want);
    if (!same)
        fail_msg("%s:\n got %s\nwant %s", name, hex_of(got, got_hex, sizeof(got_hex)), want_hex);
}
