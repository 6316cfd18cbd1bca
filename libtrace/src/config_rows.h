/* config_rows.h - the table of everything the tracer can be told.
 *
 * One row per setting: what it is called, what it may be, where it goes and what it means.  Reading,
 * the public <sonde/config.h> and docs/TRACER-CONFIGURATION.md come from the table.  A setting that has
 * no effect, and that telemetry need not speak of, has no row.
 *
 * Threads   constant data. */
#ifndef SONDE_LIBTRACE_CONFIG_ROWS_H
#define SONDE_LIBTRACE_CONFIG_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a value is, and the type of its field in sonde__config. */
typedef enum sonde__type {
    SONDE__TYPE_BOOL,       /* bool */
    SONDE__TYPE_INT,        /* uint32_t, decimal digits */
    SONDE__TYPE_NUMBER,     /* double; -1 when there is no default */
    SONDE__TYPE_TEXT,       /* sonde_str */
    SONDE__TYPE_LIST,       /* sonde_str: "a,b", taken apart by its user */
    SONDE__TYPE_MAP,        /* sonde_str: "a:b,c:d", taken apart by its user */
    SONDE__TYPE_URL,        /* sonde_str, checked */
    SONDE__TYPE_STATSD,     /* sonde_str, checked: of a DogStatsD server */
    SONDE__TYPE_REPOSITORY, /* sonde_str: an address, its user and password are left out */
    SONDE__TYPE_CHOICE,     /* uint32_t: the place in `choices` */
    SONDE__TYPE_DURATION, /* uint64_t, nanoseconds; a bare number, which may have a fraction, counts
                               `unit_ns` */
    SONDE__TYPE_BYTES,    /* uint64_t */
    SONDE__TYPE_LEVEL,    /* sonde_log_level */
    SONDE__TYPE_STYLES,   /* sonde__styles */
    SONDE__TYPE_STATUSES, /* sonde_str: "500-599,418", checked */
    SONDE__TYPES
} sonde__type;

#define SONDE__NAMES_MAX 4

typedef struct sonde__row {
    /* its name, then older ones; the first that is set counts */
    const char *names[SONDE__NAMES_MAX];
    sonde__type type;
    bool clamp;            /* out of range: the nearest bound instead of the default */
    bool empty_is_a_value; /* else empty is unset */
    bool secret;           /* never printed */
    const char *fallback;  /* the default, as text; "" is none */
    const char *instead;   /* for readers, when the default is found out at start */
    const char *choices;   /* of a choice: "one,other" */
    double min, max;       /* of numbers, in units; both 0: any */
    uint64_t unit_ns;      /* of durations */
    size_t field;          /* offset in sonde__config */
    size_t option;         /* offset in sonde_options; 0: none */
    const char *doc;
} sonde__row;

#define SONDE__ROWS_MAX 160

extern const sonde__row sonde__rows[];
extern const size_t sonde__rows_len;

#endif /* SONDE_LIBTRACE_CONFIG_ROWS_H */
