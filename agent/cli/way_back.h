/* agent/cli/way_back.h - a few instructions in another process by which a thread of it finds back to where it was stopped, without us.
 *
 * Whatever is done in its name, this is what comes next, unless we put it back ourselves: should we be killed at any moment,
 * it goes on as if nothing had happened.
 *
 *   begin    one system call
 *   resume   its signal mask, all its general registers, and back; flags and vector registers are what they are
 *
 * They go where nothing of the process's lies: behind the code of an object, on its last page. */
#ifndef SONDE_AGENT_CLI_WAY_BACK_H
#define SONDE_AGENT_CLI_WAY_BACK_H

#if defined(__x86_64__)

#    include <stdint.h>
#    include <sys/user.h>

extern const char way_back_begin[], way_back_resume[], way_back_end[];

#    define WAY_BACK_WORDS 48 /* there is room for */

typedef uint64_t way_back[WAY_BACK_WORDS];

/* For a thread that goes on with these registers, begins no call anew by itself, and blocks those signals. */
void way_back_make(way_back out, const struct user_regs_struct *to, uint64_t mask);

#endif
#endif /* SONDE_AGENT_CLI_WAY_BACK_H */
