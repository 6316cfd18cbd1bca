/* settings.h - how a setting is shown: to the program, in the log and to the agent. */
#ifndef SONDE_LIBTRACE_SETTINGS_H
#define SONDE_LIBTRACE_SETTINGS_H

#include "sonde/config.h"

#include "config.h"

const char *sonde__origin_name(sonde__origin origin); /* as telemetry calls it */

/* `value` of a setting of that row without what is secret, NUL-terminated; out_bytes: of all of it. */
void sonde__setting_print(const sonde__row *row, sonde_str value, char to[SONDE_SETTING_ROOM],
                          uint32_t *out_bytes);

#endif /* SONDE_LIBTRACE_SETTINGS_H */
