/* support/fake_crash_socket.h - the agent's end of the crash socket: takes HELLO and the black box.
 *
 *   fake_crash_socket *crash = fake_crash_socket_open("/tmp/x/crash.socket");
 *   ... the tracer starts ...
 *   fake_crash_socket_wait(crash, 1, 5000);
 *   pread(fake_crash_socket_file(crash, 0), ...);
 *   fake_crash_socket_close(crash);
 *
 * Threads   one of its own; the functions here: all.
 * Bounds    FAKE_CRASH_HELLOS connections in all. */
#ifndef SONDE_TESTS_SUPPORT_FAKE_CRASH_SOCKET_H
#define SONDE_TESTS_SUPPORT_FAKE_CRASH_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/blackbox.h"

#define FAKE_CRASH_HELLOS 64
#define FAKE_CRASH_SILENT (-1) /* an answer: none */

typedef struct fake_crash_socket fake_crash_socket;

fake_crash_socket *fake_crash_socket_open(const char *path);
void fake_crash_socket_close(fake_crash_socket *s);

/* A sonde_crash_reason for every HELLO from now on, or FAKE_CRASH_SILENT. */
void fake_crash_socket_answer(fake_crash_socket *s, int reason);

/* True when at least `hellos` have come before `timeout_ms` were over. */
bool fake_crash_socket_wait(fake_crash_socket *s, unsigned hellos, unsigned timeout_ms);
unsigned fake_crash_socket_hellos(fake_crash_socket *s);

/* Of the i-th HELLO: the packet, its length, its file (-1: none), and whether its sender hung up in time. */
sonde_crash_hello fake_crash_socket_hello(fake_crash_socket *s, unsigned i);
int fake_crash_socket_file(fake_crash_socket *s, unsigned i);
bool fake_crash_socket_wait_end(fake_crash_socket *s, unsigned i, unsigned timeout_ms);
void fake_crash_socket_hang_up(fake_crash_socket *s, unsigned i);

#endif /* SONDE_TESTS_SUPPORT_FAKE_CRASH_SOCKET_H */
