/* agent/cli/inject_stub.h - the instructions that run in the other process, until the library is there.
 *
 *   begin ... waits     by the stopped thread: starts the new one, then waits until it is taken back
 *   leaves              ... or goes back by itself, when nobody comes
 *   behind              by the new one, which ends when it is not told to begin within 10 s
 *
 * They find the block in a register, and behind it what `leaves` needs; everything else is relative to themselves. */
#ifndef SONDE_AGENT_CLI_INJECT_STUB_H
#define SONDE_AGENT_CLI_INJECT_STUB_H

#if defined(__x86_64__)

/* From the block on. */
#    define INJECT_STUB_GO    4072 /* not 0: the new one may begin */
#    define INJECT_STUB_FLAGS 4080 /* the thread's, before */
#    define INJECT_STUB_BACK  4088 /* where it goes for the rest (tracee.h) */
#    define INJECT_STUB_STATE 4096 /* of its vector registers, as XSAVE has it */

extern const char inject_stub_begin[], inject_stub_waits[], inject_stub_leaves[], inject_stub_end[];

#endif
#endif /* SONDE_AGENT_CLI_INJECT_STUB_H */
