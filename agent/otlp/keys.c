/* keys.c - keys by length, then by their bytes. */
#include "keys.h"

#define KEY_MIN_LEN 7
#define KEY_MAX_LEN 28

/* clang-format off */
static const char *const names[OTLP_KEYS] = {
#define X(name, key, renamed) [OTLP_KEY_##name] = (key),
    OTLP_KEY_MAP(X)
#undef X
};
static const char *const renamed_to[OTLP_KEYS] = {
#define X(name, key, renamed) [OTLP_KEY_##name] = (renamed),
    OTLP_KEY_MAP(X)
#undef X
};
static const uint8_t lengths[OTLP_KEYS] = {
#define X(name, key, renamed) [OTLP_KEY_##name] = sizeof(key) - 1,
    OTLP_KEY_MAP(X)
#undef X
};

/* The first key of each length; a test holds it against the list. */
static const uint8_t first_of_length[KEY_MAX_LEN + 2] = {
    [7] = OTLP_KEY_DB_NAME,
    [8] = OTLP_KEY_URL_FULL,
    [9] = OTLP_KEY_DB_SYSTEM,
    [10] = OTLP_KEY_HTTP_ROUTE,
    [11] = OTLP_KEY_K8S_POD_UID,
    [12] = OTLP_KEY_SERVICE_NAME,
    [13] = OTLP_KEY_DB_QUERY_TEXT,
    [14] = OTLP_KEY_OPERATION_NAME,
    [15] = OTLP_KEY_ANALYTICS_EVENT,
    [16] = OTLP_KEY_HTTP_STATUS_CODE,
    [17] = OTLP_KEY_SAMPLING_PRIORITY,
    [18] = OTLP_KEY_STATS_COMPUTED,
    [19] = OTLP_KEY_HTTP_REQUEST_METHOD,
    [20] = OTLP_KEY_SDK_VERSION,
    [21] = OTLP_KEY_SDK_VERSION,
    [22] = OTLP_KEY_GRAPHQL_TYPE,
    [23] = OTLP_KEY_HTTP_RESPONSE_SIZE,
    [24] = OTLP_KEY_PROTOCOL_VERSION,
    [25] = OTLP_KEY_HTTP_RESPONSE_CODE,
    [26] = OTLP_KEY_MESSAGING_DEST_NAME,
    [27] = OTLP_KEY_DEPLOYMENT_ENV_NAME,
    [28] = OTLP_KEY_HTTP_REFERRER,
    [29] = OTLP_KEYS,
};
/* clang-format on */

otlp_key otlp_key_of(sonde_str key)
{
    if (key.len < KEY_MIN_LEN || key.len > KEY_MAX_LEN)
        return OTLP_KEY_OTHER;
    for (unsigned i = first_of_length[key.len]; i < first_of_length[key.len + 1]; i++) {
        if (memcmp(names[i], key.ptr, key.len) == 0)
            return (otlp_key)i;
    }
    return OTLP_KEY_OTHER;
}

sonde_str otlp_key_text(otlp_key key)
{
    return (sonde_str){ names[key], lengths[key] };
}

sonde_str otlp_key_renamed(otlp_key key)
{
    return sonde_str_from(renamed_to[key]);
}
