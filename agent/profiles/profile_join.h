/* agent/profiles/profile_join.h - the rows of one profile put into another: several processes in one file.
 *
 * Threads   the owner of both. */
#ifndef SONDE_AGENT_PROFILES_PROFILE_JOIN_H
#define SONDE_AGENT_PROFILES_PROFILE_JOIN_H

#include "profile.h"

/* `from` stays as it is; functions it has are not taken over: symbolize afterwards.  With `root`, every stack gets a
 * frame of that name at its root. */
SONDE_MUST_USE sonde_status profile_join(profile *to, const profile *from, sonde_str root);

#endif /* SONDE_AGENT_PROFILES_PROFILE_JOIN_H */
