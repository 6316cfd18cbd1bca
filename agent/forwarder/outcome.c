/* outcome.c - the retry table. */
#include "outcome.h"

const char *const failure_names[FAILURES] = {
#define X(name, text) [FAILURE_##name] = text,
    FAILURE_MAP(X)
#undef X
};

failure failure_of(sonde_status status, unsigned http_status)
{
    switch (status) {
    case SONDE_OK:
        break;
    case SONDE_ERR_CONNECT:
        return FAILURE_CONNECT;
    case SONDE_ERR_TIMEOUT:
        return FAILURE_TIMEOUT;
    case SONDE_ERR_REFUSED:
        return FAILURE_TLS;
    case SONDE_ERR_EOF:
        return FAILURE_CUT_OFF;
    default:
        return FAILURE_OTHER;
    }
    if (http_status == 401 || http_status == 403)
        return FAILURE_KEY;
    if (http_status == 408 || http_status == 429)
        return FAILURE_BUSY;
    return http_status >= 500 && http_status <= 599 ? FAILURE_SERVER : FAILURE_REFUSED;
}

outcome outcome_of(sonde_status status, unsigned http_status)
{
    if (status != SONDE_OK && !http_status)
        return OUTCOME_RETRY; /* no answer; the head of one is enough: the intake has decided */
    if (http_status >= 200 && http_status <= 299)
        return OUTCOME_SENT;
    switch (http_status) {
    case 403: /* a key may be replaced */
    case 408:
    case 429:
        return OUTCOME_RETRY;
    default:
        return http_status >= 500 && http_status <= 599 ? OUTCOME_RETRY : OUTCOME_REFUSED;
    }
}
