/* agent/profiles/symbolize.h - gives every location of a profile its functions, and locks their names.
 *
 * Threads   the profile's owner; one at a time for all profiles that share `symbols`. */
#ifndef SONDE_AGENT_PROFILES_SYMBOLIZE_H
#define SONDE_AGENT_PROFILES_SYMBOLIZE_H

#include "profile.h"

/* Locations nobody knows keep their address only, and so do locks that are in no variable.  May be called again after more was merged. */
void profile_symbolize(profile *p);

#endif /* SONDE_AGENT_PROFILES_SYMBOLIZE_H */
