/* telemetry_config.h - the configuration as telemetry tells it: what every source said of every setting.
 *
 * Threads   none.
 * Source    docs/spec/telemetry.md, "Configuration" */
#ifndef SONDE_LIBTRACE_TELEMETRY_CONFIG_H
#define SONDE_LIBTRACE_TELEMETRY_CONFIG_H

#include <stdint.h>

#include "codec/json_write.h"

#include "config.h"

/* One value of a setting, by one source. */
typedef struct sonde__telemetry_entry {
    size_t row; /* place in sonde__rows */
    sonde_str value;
    const char *origin;  /* "remote_config" */
    sonde_str config_id; /* empty: none */
    const char *error;   /* why it cannot be used; NULL: it can */
} sonde__telemetry_entry;

/* Writes it under its name and under the names other tracers have for it; `seq` counts up for each. */
void sonde__telemetry_put_entry(sonde_json_writer *w, const sonde__telemetry_entry *e,
                                uint64_t *seq);

/* All of them, as entries of an array that is open. */
void sonde__telemetry_put_configuration(sonde_json_writer *w, const sonde__config *c,
                                        uint64_t *seq);

#endif /* SONDE_LIBTRACE_TELEMETRY_CONFIG_H */
