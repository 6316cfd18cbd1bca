/* print.c - the table for people: --help, docs/CONFIGURATION.md, the values in force. */
#include "config.h"
#include "internal.h"

static const char *shown_default(const config_key *key)
{
    return *key->fallback ? key->fallback : "none";
}

static void print_variables(const config_key *key, const char *quote, sonde_buf *out)
{
    char room[CONFIG_ENV_NAME_MAX];
    sonde_str names = sonde_str_from(env_names(key->name, key->env, room));
    const char *separator = "";

    while (names.len) {
        sonde_str name = sonde_str_cut(&names, ',');

        sonde_buf_printf(out, "%s%s%.*s%s", separator, quote, SONDE_STR_ARG(name), quote);
        separator = ", ";
    }
}

void config_print_help(sonde_buf *out)
{
    for (size_t i = 0; i < config_keys_len; i++) {
        const config_key *key = &config_keys[i];

        sonde_buf_printf(out, "  %s, ", key->name);
        print_variables(key, "", out);
        sonde_buf_printf(out, " (%s, default %s)\n      %s\n", key_type_name(key),
                         shown_default(key), key->doc);
    }
}

static void print_known(sonde_buf *out)
{
    sonde_buf_printf(out, "\n## Without effect here\n\n"
                          "Keys of Datadog's agent that are taken without a warning and do nothing "
                          "(`.*`: the whole section):\n\n");
    for (size_t i = 0; i < known_keys_len; i++)
        if (!key_find(sonde_str_from(known_keys[i].name)))
            sonde_buf_printf(out, "* `%s`%s%s\n", known_keys[i].name, known_keys[i].why ? ": " : "",
                             known_keys[i].why ? known_keys[i].why : "");
}

void config_print_markdown(sonde_buf *out)
{
    sonde_buf_printf(
        out,
        "# Configuration of the agent\n\n"
        "Made from the table in `agent/config/keys.c`; do not edit: run the test\n"
        "`agent_config.config` with `SONDE_UPDATE_DOCS=1`.\n\n"
        "Later sources win: the default, the file (`--config FILE`, else `%s`, which may be\n"
        "missing), the files `conf.d/*.yaml` beside it in byte order, the environment, the command "
        "line. A value that cannot be used is warned about with its place, "
        "and the\n"
        "value before it stays. Durations take a unit (`500ms`, `5s`, `2m`, `3d`), a bare number "
        "counts\n"
        "seconds; sizes likewise (`512`, `64MiB`, 1024-based). Lists in variables are separated by "
        "commas\n"
        "or spaces, maps are JSON.\n\n"
        "`sonde agent --check-config` shows every key with its value and where that comes from, "
        "and\n"
        "whether anything is wrong. After SIGHUP the agent reads everything again and takes over "
        "the\n"
        "keys marked *live*; for the others that changed it says that they wait for a restart.\n\n"
        "| Key | Variable | Type | Default | Meaning |\n|---|---|---|---|---|\n",
        CONFIG_DEFAULT_FILE);
    for (size_t i = 0; i < config_keys_len; i++) {
        const config_key *key = &config_keys[i];

        sonde_buf_printf(out, "| `%s` | ", key->name);
        print_variables(key, "`", out);
        sonde_buf_printf(out, " | %s | %s | %s%s |\n", key_type_name(key), shown_default(key),
                         key->doc, key->reloads ? " *live*" : "");
    }
    print_known(out);
}

void config_print_values(const agent_config *c, sonde_buf *out)
{
    for (size_t i = 0; i < config_keys_len; i++) {
        sonde_buf_printf(out, "%s: ", config_keys[i].name);
        key_print_value(c, &config_keys[i], out);
        sonde_buf_printf(out, "  # %.*s\n", SONDE_STR_ARG(c->origins[i]));
    }
}
