/* fuzz_rates.c - the body of an agent's answer.
 *
 * Property: never crashes; whatever was taken over, every service's rate is a number from 0 to 1. */
#include <stdint.h>
#include <stdlib.h>

#include "libtrace/src/service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sonde__service other;
    double rate;

    if (other == 0) {
        if (sonde__services_open(SONDE_STR("web"), SONDE_STR("prod")) != SONDE_OK)
            return 0;
        other = sonde__service_number(SONDE_STR("other"));
    }
    (void)sonde__service_rates_update((sonde_str){ (const char *)data, size });
    if (sonde__service_rate(0, &rate) && !(rate >= 0 && rate <= 1))
        abort();
    if (sonde__service_rate(other, &rate) && !(rate >= 0 && rate <= 1))
        abort();
    return 0;
}
