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
    const char *env;  /* variables, comma list, first found wins; "": DD_ and the name in capitals */
    key_type type;
    const char *fallback; /* the default, as text; "" none */
    double min, max;      /* of KEY_INT, KEY_NUMBER, KEY_BYTES; KEY_DURATION in seconds; 0, 0: any */
    uint64_t unit_ns;     /* KEY_DURATION: what a bare number counts */
    char separator;       /* KEY_LIST in a variable: ' ', or ',' with quotes as in CSV; 0: either */
    bool empty_is_a_value; /* an empty variable switches off instead of meaning "not set" */
    bool reloads;         /* a running agent takes a new value over (SIGHUP) */
    size_t offset;        /* of the field in agent_config */
    const char *doc;      /* one sentence or two */
} config_key;
/* clang-format on */

extern const config_key config_keys[];
extern const size_t config_keys_len;

/* A key of Datadog's agent that is understood and does nothing here; a name that ends in ".*" stands for
 * a whole section. */
typedef struct known_key {
    const char *name;
    const char *env; /* as in config_key; NULL: none is looked at */
    const char *why; /* or what does it instead; NULL: nothing to say */
} known_key;

/* "KEY has no effect here: WHY" for a note. */
#define KNOWN_FORMAT "%.*s has no effect here%s%s"
#define KNOWN_ARG(name, key)                                                                       \
    SONDE_STR_ARG(name), (key)->why ? ": " : "", (key)->why ? (key)->why : ""

extern const known_key known_keys[];
extern const size_t known_keys_len;

const known_key *known_find(sonde_str name); /* NULL: no such key */
bool known_is_feature(sonde_str name);       /* of apm_config.features: does something here */

/* The variables of a key, comma list; `room` holds a name made from the key. */
#define CONFIG_ENV_NAME_MAX 96
const char *env_names(const char *name, const char *env, char room[CONFIG_ENV_NAME_MAX]);

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
void note(builder *b, const char *fmt, ...) SONDE_PRINTF(2, 3);
sonde_str keep(builder *b, sonde_str text); /* a copy in the snapshot's arena */
sonde_str keep_printf(builder *b, const char *fmt, ...) SONDE_PRINTF(2, 3);

/* The text of a field as it would be configured; secrets cut to their last four characters. */
void key_print_value(const agent_config *c, const config_key *key, sonde_buf *out);

bool key_equal(const agent_config *a, const agent_config *b, const config_key *key);

/* Value of a variable; false when it is not set. */
bool env_get(const config_options *options, sonde_str name, sonde_str *out_value);

/* `is_override`: a file of conf.d, where integrations of Datadog's agent are passed over. */
sonde_status read_yaml(builder *b, sonde_str yaml, const char *name, bool is_override,
                       sonde_error *out_error);

/* The conf.d folder beside the file: overrides.c. */
sonde_status read_overrides(builder *b, const char *file, sonde_error *out_error);
sonde_status read_file(const char *path, sonde_buf *out, sonde_error *out_error);

/* Fills what follows from the keys: hostname, host, endpoints, local mode, counts of threads. */
void derive(builder *b);

#endif /* SONDE_AGENT_CONFIG_INTERNAL_H */
