/* agent/cli/screen.h - a terminal as one page and single keys.
 *
 * Threads   the main thread.
 */
#ifndef SONDE_AGENT_CLI_SCREEN_H
#define SONDE_AGENT_CLI_SCREEN_H

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include "base/str.h"

typedef struct screen {
    bool is_open;
    struct termios before;
} screen;

/* False: standard input or output is no terminal. */
bool screen_open(screen *s);
void screen_close(screen *s); /* as it was before; also when it is not open */

void screen_size(uint32_t *out_rows, uint32_t *out_columns);
void screen_show(sonde_str page); /* lines end in SCREEN_NEWLINE */
#define SCREEN_NEWLINE "\033[K\r\n"

/* A key that was pressed; 0: none. */
char screen_key(void);

#endif /* SONDE_AGENT_CLI_SCREEN_H */
