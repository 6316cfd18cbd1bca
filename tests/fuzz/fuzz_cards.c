/* fuzz_cards.c - a value that may be the number of a credit card.
 *
 * Property   no input crashes; what is one with a right check digit is one without looking at it; it has 12 to 16
 *            digits and nothing but blanks and dashes beside them; blanks at its end change nothing. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/obfuscate/obfuscators.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str text = { (const char *)data, size };
    bool is_card = obfuscate_is_card(text, false);
    size_t digits = 0;
    char longer[64];

    require(is_card || !obfuscate_is_card(text, true));
    for (size_t i = 0; i < size && is_card; i++) {
        bool is_digit = data[i] >= '0' && data[i] <= '9';

        require(is_digit || data[i] == ' ' || data[i] == '-');
        digits += is_digit;
    }
    require(!is_card || (digits >= 12 && digits <= 16));
    if (size >= 12 && size < sizeof(longer)) {
        memcpy(longer, data, size);
        longer[size] = ' ';
        require(obfuscate_is_card((sonde_str){ longer, size + 1 }, false) == is_card);
    }
    (void)obfuscate_is_card_exempt(text);
    return 0;
}
