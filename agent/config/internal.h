/* internal.h - the table of keys and what the files of the room share. */
#ifndef SONDE_AGENT_CONFIG_INTERNAL_H
#define SONDE_AGENT_CONFIG_INTERNAL_H

#include "agent/config/config.h"

#define CONFIG_FILE_MAX_BYTES  (1024u * 1024)
#define CONFIG_VALUE_MAX_BYTES (64u * 1024)
#define CONFIG_LIST_MAX        256 /* items of a list, endpoints */

typedef enum key_type {
    KEY_TEXT,
    KEY_SECRET, /* text that is never shown in full */
    KEY_BOOL,
    KEY_SWITCH, /* auto, true, false */
    KEY_INT,
    KEY_NUMBER,
    KEY_BYTES,
    KEY_DURATION,
    KEY_LEVEL, /* of logging */
    KEY_LIST,
    KEY_ENDPOINTS,
} key_type;

/* clang-format off */
typedef struct config_key {
    const char *name; /* path in the file: "apm_config.receiver_port" */
    const char *env;  /* variables, comma list, first found wins */
    key_type type;
    const char *fallback; /* the default, as text; "" none */
    double min, max;      /* of KEY_INT, KEY_NUMBER, KEY_BYTES; KEY_DURATION in seconds; 0, 0: any */
    uint64_t unit_ns;     /* KEY_DURATION: what a bare number counts */
    bool empty_is_a_value; /* an empty variable switches off instead of meaning "not set" */
    size_t offset;        /* of the field in agent_config */
    const char *doc;      /* one sentence or two */
} config_key;
/* clang-format on */

extern const config_key config_keys[];
extern const size_t config_keys_len;

/* A snapshot being built. */
typedef struct builder {
    agent_config *c;
    const config_options *options;
    bool out_of_memory; /* checked once, at the end */
} builder;

const config_key *key_find(sonde_str name);    /* NULL: no such key */
const config_key *key_nearest(sonde_str name); /* NULL: nothing is alike */
const char *key_type_name(const config_key *key);

/* Parses `text` into the key's field; a bad value becomes a warning that names `origin`. */
void key_set(builder *b, const config_key *key, sonde_str text, sonde_str origin);

void warn(builder *b, const char *fmt, ...) SONDE_PRINTF(2, 3);
sonde_str keep(builder *b, sonde_str text); /* a copy in the snapshot's arena */
sonde_str keep_printf(builder *b, const char *fmt, ...) SONDE_PRINTF(2, 3);

/* The text of a field as it would be configured; secrets cut to their last four characters. */
void key_print_value(const agent_config *c, const config_key *key, sonde_buf *out);

/* Value of a variable; false when it is not set. */
bool env_get(const config_options *options, sonde_str name, sonde_str *out_value);

sonde_status read_yaml(builder *b, sonde_str yaml, const char *name, sonde_error *out_error);

/* Fills what follows from the keys: hostname, host, endpoints, local mode, counts of threads. */
void derive(builder *b);

#endif /* SONDE_AGENT_CONFIG_INTERNAL_H */
