/* base/machine.h - the machine a process runs on, as telemetry names it.
 *
 * Threads   pure.  Takes no lock and allocates nothing: a copy of a crashed process may ask. */
#ifndef SONDE_BASE_MACHINE_H
#define SONDE_BASE_MACHINE_H

#include <sys/utsname.h>

#include "base/str.h"

#define SONDE_OS_VERSION_ROOM 64

typedef struct sonde_machine {
    struct utsname kernel; /* empty texts when not known */
    char os_version
        [SONDE_OS_VERSION_ROOM]; /* VERSION_ID of /etc/os-release, "12"; empty: not said */
} sonde_machine;

void sonde_machine_read(sonde_machine *out);

/* The value of VERSION_ID, without quotes, in the text of an os-release file; empty: there is none. */
sonde_str sonde_os_release_version(sonde_str text);

#endif /* SONDE_BASE_MACHINE_H */
