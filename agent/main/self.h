/* agent/main/self.h - what this process uses, for the status page.  Threads: all. */
#ifndef SONDE_AGENT_MAIN_SELF_H
#define SONDE_AGENT_MAIN_SELF_H

#include "codec/json_write.h"

void self_write_json(void *unused, sonde_json_writer *w); /* an info_source row: one object */

#endif /* SONDE_AGENT_MAIN_SELF_H */
