/* fuzz_agent_config.c - a configuration file of unknown origin.
 *
 * Property   no input crashes; whatever loads has every number within the range of its key, at most
 *            CONFIG_WARNINGS_MAX warnings and prints; a file that does not load says why. */
#include <stdlib.h>

#include "agent/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static void check(const agent_config *c)
{
    sonde_buf out;

    require(c->receiver_port >= -1 && c->receiver_port <= 65535);
    require(c->max_payload_bytes >= 1024 && c->decoders > 0 && c->workers > 0);
    require(c->memory_limit_bytes > 0 && c->max_connections > 0);
    require(c->log_level >= SONDE_LOG_ERROR && c->log_level <= SONDE_LOG_TRACE);
    require(c->warnings_len <= CONFIG_WARNINGS_MAX);
    sonde_buf_init(&out, 16u << 20);
    config_print_values(c, &out);
    require(out.len > 0);
    sonde_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const config_options options = { .os_hostname = "h", .cpus = 2 };
    sonde_error error = { 0 };
    agent_config *c = NULL;

    if (config_load_text(&options, (sonde_str){ (const char *)data, size }, "f", &c, &error) ==
        SONDE_OK)
        check(c);
    else
        require(error.message[0] != '\0');
    config_put(c);
    return 0;
}
