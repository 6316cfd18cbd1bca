/* fuzz_url.c - an address from a configuration or an environment variable.
 *
 * Property: never crashes; what is accepted can be put into a request head (no byte that would end a
 * line or a word, a path that begins with '/' or is empty, a port unless it is a socket), and written
 * out again it is read as the same address. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static size_t write_out(const sonde_url *url, char *out, size_t cap)
{
    bool is_v6 = strchr(url->host, ':') != NULL;

    if (url->scheme == SONDE_URL_UNIX)
        return (size_t)snprintf(out, cap, "unix://%s", url->path);
    return (size_t)snprintf(out, cap, "%s://%s%s%s:%u%s",
                            url->scheme == SONDE_URL_HTTPS ? "https" : "http", is_v6 ? "[" : "",
                            url->host, is_v6 ? "]" : "", url->port, url->path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_url url = { 0 }, again = { 0 };
    sonde_error error = { 0 };
    char text[2048];
    size_t len, i;

    if (sonde_url_parse((sonde_str){ (const char *)data, size }, &url, &error) != SONDE_OK) {
        require(error.message[0] != '\0' && url.host[0] == '\0' && url.path[0] == '\0');
        return 0;
    }
    require((url.port == 0) == (url.scheme == SONDE_URL_UNIX));
    require((url.host[0] == '\0') == (url.scheme == SONDE_URL_UNIX));
    require(url.path[0] == '/' || url.path[0] == '\0');
    for (i = 0; url.scheme != SONDE_URL_UNIX && url.path[i]; i++)
        require((unsigned char)url.path[i] > ' ');
    for (i = 0; url.host[i]; i++)
        require((unsigned char)url.host[i] > ' ' && !strchr("/@?#[]", url.host[i]));

    len = write_out(&url, text, sizeof(text));
    require(len < sizeof(text));
    require(sonde_url_parse((sonde_str){ text, len }, &again, NULL) == SONDE_OK);
    require(memcmp(&url, &again, sizeof(url)) == 0);
    return 0;
}
