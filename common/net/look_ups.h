/* look_ups.h - names looked up by libc, and forks meanwhile.
 *
 * getaddrinfo() takes locks of libc's, and blocks of the program's malloc.  A child that is forked while a thread of ours is in
 * it finds such locks taken for ever, although its program may have one thread.  So a fork waits for look-ups, and a
 * look-up for a fork, both within bounds.
 *
 * Threads   all; prefork and postfork are a library's fork hooks (base/fork.h), after the one that waits for its thread.
 * Bounds    SONDE_LOOK_UP_FORK_MS a fork waits for a look-up, once each: a name server may be silent for long;
 *           SONDE_LOOK_UP_WAIT_MS a look-up for a fork. */
#ifndef SONDE_NET_LOOK_UPS_H
#define SONDE_NET_LOOK_UPS_H

#define SONDE_LOOK_UP_FORK_MS 20u
#define SONDE_LOOK_UP_WAIT_MS 1000u

/* Around each getaddrinfo() of a name. */
void sonde_look_up_begin(void);
void sonde_look_up_end(void);

void sonde_look_ups_prefork(void);
void sonde_look_ups_postfork_parent(void);
void sonde_look_ups_postfork_child(void);

#endif /* SONDE_NET_LOOK_UPS_H */
