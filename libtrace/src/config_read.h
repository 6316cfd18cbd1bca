/* config_read.h - one setting from its sources.
 *
 * Threads   none: a configuration is made by one thread. */
#ifndef SONDE_LIBTRACE_CONFIG_READ_H
#define SONDE_LIBTRACE_CONFIG_READ_H

#include "config.h"
#include "otel_env.h"
#include "stable_config.h"

typedef struct sonde__sources {
    const sonde_options *options; /* complete */
    sonde__env_lookup lookup;
    void *user;
    const sonde__stable *local;
    const sonde__stable *fleet;
    const sonde__otel *otel;
} sonde__sources;

/* Fills the field and the setting of row `at`: the value of the highest source that can be used. */
void sonde__setting_read(sonde__config *c, size_t at, const sonde__sources *from);

/* A copy that lives as long as `c`, with U+FFFD for every byte that is not UTF-8. */
sonde_str sonde__config_keep(sonde__config *c, sonde_str text);

/* The address without "user:password@". */
sonde_str sonde__without_user(sonde__config *c, sonde_str url);

/* Every spelling of a boolean there is; false: it is none, and `out` is untouched. */
bool sonde__read_bool(sonde_str text, bool *out);

/* The one log line about a value that cannot be used. */
void sonde__config_complain(const char *name, sonde_str value, const char *why, sonde_str instead);

#endif /* SONDE_LIBTRACE_CONFIG_READ_H */
