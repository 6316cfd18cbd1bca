/* cards.c - numbers of credit cards, by the numbers their issuers have. */
#include "agent/obfuscate/obfuscators.h"

#include <stdint.h>

#define DIGITS_MIN        12
#define DIGITS_MAX        16
#define PREFIX_DIGITS_MAX 6

typedef struct issuer {
    uint32_t lo, hi;
    uint32_t digits;
} issuer;

static const issuer issuers[] = {
    { 1, 1, 1 },           { 4, 4, 1 },           { 34, 39, 2 },         { 51, 55, 2 },
    { 62, 62, 2 },         { 65, 65, 2 },         { 300, 305, 3 },       { 309, 309, 3 },
    { 636, 636, 3 },       { 644, 649, 3 },       { 3528, 3589, 4 },     { 5019, 5019, 4 },
    { 6011, 6011, 4 },     { 222100, 272099, 6 }, { 500000, 509999, 6 }, { 560000, 589999, 6 },
    { 600000, 699999, 6 },
};

static bool is_issuer(uint32_t prefix, uint32_t digits)
{
    size_t i;

    for (i = 0; i < sizeof(issuers) / sizeof(issuers[0]); i++)
        if (issuers[i].digits == digits && prefix >= issuers[i].lo && prefix <= issuers[i].hi)
            return true;
    return false;
}

typedef struct card_digits {
    uint8_t digit[DIGITS_MAX];
    size_t len;
} card_digits;

/* False: something else than a row of so many digits. */
static bool read_digits(sonde_str value, card_digits *out)
{
    size_t i;

    for (i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        if (c == ' ' || c == '-')
            continue;
        if (c < '0' || c > '9' || out->len == DIGITS_MAX)
            return false;
        out->digit[out->len++] = (uint8_t)(c - '0');
    }
    return out->len >= DIGITS_MIN;
}

static bool begins_as_a_card(const card_digits *d)
{
    uint32_t prefix = 0;
    uint32_t n;

    for (n = 1; n <= PREFIX_DIGITS_MAX; n++) {
        prefix = prefix * 10 + d->digit[n - 1];
        if (is_issuer(prefix, n))
            return true;
    }
    return false;
}

static bool passes_luhn(const card_digits *d)
{
    unsigned sum = 0;
    size_t i;

    for (i = 0; i < d->len; i++) {
        unsigned digit = d->digit[d->len - 1 - i];

        if (i % 2 == 1) {
            digit *= 2;
            digit -= digit > 9 ? 9 : 0;
        }
        sum += digit;
    }
    return sum % 10 == 0;
}

bool obfuscate_is_card(sonde_str value, bool check_luhn)
{
    card_digits d = { .len = 0 };

    return value.len >= DIGITS_MIN && read_digits(value, &d) && begins_as_a_card(&d) &&
           (!check_luhn || passes_luhn(&d));
}

bool obfuscate_is_card_exempt(sonde_str key)
{
    static const char *const keys[] = {
        "account_id",
        "aws_account",
        "error",
        "error.msg",
        "error.type",
        "error.stack",
        "env",
        "graphql.field",
        "graphql.query",
        "graphql.type",
        "graphql.operation.name",
        "grpc.code",
        "grpc.method",
        "grpc.request",
        "http.status_code",
        "http.method",
        "runtime-id",
        "out.host",
        "out.port",
        "sampling.priority",
        "span.type",
        "span.name",
        "service.name",
        "service",
        "sql.query",
        "version",
        "databricks_job_id",
        "databricks_job_run_id",
        "databricks_task_run_id",
        "config.spark_app_startTime",
        "config.spark_databricks_job_parentRunId",
    };
    size_t i;

    if (key.len > 0 && key.ptr[0] == '_')
        return true;
    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (sonde_str_eq(key, sonde_str_from(keys[i])))
            return true;
    return false;
}
