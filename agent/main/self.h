/* agent/main/self.h - what this process uses, for the status page.  Threads: all. */
#ifndef SONDE_AGENT_MAIN_SELF_H
#define SONDE_AGENT_MAIN_SELF_H

#include <stdint.h>

#include "codec/json_write.h"

/* What this process wrote to, mapped files left out; 0: unknown, or a sanitizer's for the most part. */
uint64_t self_memory_bytes(void);

/* The same, and its CPU time in user mode. */
void self_measure(uint64_t *out_memory_bytes, double *out_cpu_user_s);

void self_write_json(void *unused, sonde_json_writer *w); /* an info_source row: one object */

#endif /* SONDE_AGENT_MAIN_SELF_H */
