/* sonde/config.h - what the tracer was told, setting by setting.
 *
 *   sonde_setting s = { 0 };
 *
 *   for (uint32_t i = 0; sonde_setting_at(i, &s) == SONDE_OK; i++)
 *       printf("%s=%s (%s)\n", s.name, s.value, s.origin);
 *
 * A setting is called by its variable; docs/TRACER-CONFIGURATION.md lists them all.  Values are those of
 * the last sonde_start(), with what remote configuration has set since, and stay readable after sonde_stop().
 *
 * Secrets   a value that is one reads "***"; the user and password of an address are left out.
 * Threads   all; waits for a start, stop or fork that is under way.
 */
#ifndef SONDE_CONFIG_H
#define SONDE_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "sonde/export.h"
#include "sonde/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SONDE_CONFIG_ID_ROOM 64
#define SONDE_SETTING_ROOM   1024 /* array size: longer values are cut, between characters */

typedef struct sonde_setting {
    uint32_t struct_bytes; /* set by the caller: sizeof(sonde_setting); 0 counts as that */
    uint32_t value_bytes;  /* of the whole value, also when it was cut */
    const char *name;      /* "DD_TRACE_AGENT_PORT"; static storage */
    const char *found_as;  /* the name it was found under: an alias, say; static storage */
    const char *origin;    /* static storage:
                              "default"
                              "calculated"  from other settings, or found out at start
                              "env_var"     also through an OTEL_* variable
                              "local_stable_config", "fleet_stable_config": files of this host
                              "code"        sonde_options
                              "remote_config"  the agent, while the program runs: wins over all */
    char config_id[SONDE_CONFIG_ID_ROOM]; /* of such a file; else "" */
    char value[SONDE_SETTING_ROOM];       /* as it was written; "" when there is none */
} sonde_setting;

/* The setting at a place in the table, counted from 0; the order is that of the documentation.
 *
 * out       filled up to out->struct_bytes; untouched on failure.
 * Returns   SONDE_OK; SONDE_ERR_NOT_FOUND behind the last; SONDE_ERR_STATE before the first
 *           sonde_start(); SONDE_ERR_INVALID when `out` is NULL. */
SONDE_API sonde_status sonde_setting_at(uint32_t index, sonde_setting *out);

/* The setting of that name, or of that alias.  As sonde_setting_at(). */
SONDE_API sonde_status sonde_setting_find(const char *name, sonde_setting *out);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_CONFIG_H */
