/* styles.c - reading lists of style names. */
#include "styles.h"

static const struct {
    const char *word;
    sonde__style style;
} words[] = {
    { "datadog", SONDE__STYLE_DATADOG }, { "tracecontext", SONDE__STYLE_TRACECONTEXT },
    { "b3", SONDE__STYLE_B3 },           { "b3multi", SONDE__STYLE_B3MULTI },
    { "baggage", SONDE__STYLE_BAGGAGE }, /* so far in the order of the enum */
    { "b3_single", SONDE__STYLE_B3 },    { "b3 single header", SONDE__STYLE_B3 },
};

static bool find_word(sonde_str token, sonde__style *out)
{
    size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!sonde_str_eq_nocase(token, sonde_str_from(words[i].word)))
            continue;
        *out = words[i].style;
        return true;
    }
    return false;
}

bool sonde__styles_have(const sonde__styles *styles, sonde__style style)
{
    uint32_t i;

    for (i = 0; i < styles->len; i++)
        if (styles->style[i] == style)
            return true;
    return false;
}

bool sonde__styles_parse(sonde_str list, sonde__styles *out, sonde_str *out_unknown)
{
    bool none = false;

    out->len = 0;
    *out_unknown = (sonde_str){ NULL, 0 };
    while (list.len > 0) {
        sonde_str token = sonde_str_trim(sonde_str_cut(&list, ','));
        sonde__style style;

        if (token.len == 0)
            continue;
        if (find_word(token, &style)) {
            if (!sonde__styles_have(out, style))
                out->style[out->len++] = style;
        } else if (sonde_str_eq_nocase(token, SONDE_STR("none"))) {
            none = true; /* alone it means "no style"; among others, nothing */
        } else if (out_unknown->len == 0) {
            *out_unknown = token;
        }
    }
    return out->len > 0 || none;
}

const char *sonde__style_name(sonde__style style)
{
    return words[style].word;
}
