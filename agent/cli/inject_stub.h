/* agent/cli/inject_stub.h - the instructions that run in the other process, until the library is there.
 *
 *   from `create` on   by the stopped thread: starts the new one, then makes the system call before `created`
 *   from `thread` on   by the new one
 *
 * Both find the block in a register; everything else is relative to themselves. */
#ifndef SONDE_AGENT_CLI_INJECT_STUB_H
#define SONDE_AGENT_CLI_INJECT_STUB_H

#if defined(__x86_64__)

extern const char inject_stub_begin[], inject_stub_created[], inject_stub_end[];

#endif
#endif /* SONDE_AGENT_CLI_INJECT_STUB_H */
