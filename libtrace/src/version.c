/* version.c - the version the library was built as.  Pure. */
#include "sonde/version.h"

const char *sonde_version(void)
{
    return SONDE_VERSION;
}
