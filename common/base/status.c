/* status.c - texts and names of sonde_status. */
#include "sonde/status.h"

const char *sonde_status_str(sonde_status s)
{
    switch (s) {
#define X(name, number, text)                                                                      \
    case SONDE_##name:                                                                             \
        return text;
        SONDE_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}

const char *sonde_status_name(sonde_status s)
{
    switch (s) {
#define X(name, number, text)                                                                      \
    case SONDE_##name:                                                                             \
        return "SONDE_" #name;
        SONDE_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}
