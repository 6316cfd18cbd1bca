/* outcome.c - the retry table. */
#include "outcome.h"

outcome outcome_of(sonde_status status, unsigned http_status)
{
    if (status != SONDE_OK)
        return OUTCOME_RETRY; /* no answer */
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
