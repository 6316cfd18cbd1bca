/* at_work.h - built with a sanitizer, a fork waits until the thread has begun, and rests.
 *
 * The allocators of the sanitizers do not survive a fork while another thread is inside them: a child of our tests
 * hung once in 25 runs.  In any other build all of this is nothing.
 *
 * Threads   begin, end: our thread, around what it does.  expect: who makes it (1, or -1 when that failed), and the
 *           thread when it has begun (-1).  await, end, forked: the fork hooks. */
#ifndef SONDE_LIBTRACE_AT_WORK_H
#define SONDE_LIBTRACE_AT_WORK_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
void sonde__at_work_begin(void);
void sonde__at_work_end(void);
void sonde__at_work_expect(int more);
void sonde__at_work_await(void);
void sonde__at_work_forked(void);
#else
static inline void sonde__at_work_begin(void)
{
}

static inline void sonde__at_work_end(void)
{
}

static inline void sonde__at_work_expect(int more)
{
    (void)more;
}

static inline void sonde__at_work_await(void)
{
}

static inline void sonde__at_work_forked(void)
{
}
#endif

#endif /* SONDE_LIBTRACE_AT_WORK_H */
