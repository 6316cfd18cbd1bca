/* base/got.h - functions of a library that came late are called in the place of those everybody found before.
 *
 * An object calls a function of another one through a slot, which the loader has filled.  sonde_got_patch() goes through
 * the slots of all objects and puts a hook where the function behind it is, one atomic store each:
 *
 *   slot == real      ──▶ slot = hook
 *   not bound yet     ──▶ slot = hook, where the loader could find nothing else; else looked at the next time (`waiting`)
 *   anything else     ──▶ left alone: another allocator, another hook, a namespace of its own
 *
 * A slot is never put back: whoever has read it may be about to call.  Left alone are the loader, the vdso and the object
 * of the hooks.
 *
 * Threads   one at a time, others may run and load and unload meanwhile: all is done under the loader's lock of its list.
 *           Memory: mappings of its own.
 * Bounds    SONDE_GOT_HOOKS_MAX hooks, SONDE_GOT_RANGES_MAX mappings, SONDE_GOT_DONE_MAX objects remembered as done; further
 *           ones are gone through each time.  Of what is beyond, sealed slots stay as they are, which is counted (`waiting`). */
#ifndef SONDE_BASE_GOT_H
#define SONDE_BASE_GOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SONDE_GOT_HOOKS_MAX  128u
#define SONDE_GOT_RANGES_MAX 65536u
#define SONDE_GOT_DONE_MAX   4096u

typedef struct sonde_got_hook {
    const char *name;
    uint64_t hook; /* what is to be called */
    uint64_t real; /* what slots hold now; 0: nobody has it, the hook is not used */
    bool is_only;  /* nobody else defines it */
} sonde_got_hook;

typedef struct sonde_got_counts {
    uint64_t patched; /* slots, this time */
    uint64_t waiting; /* slots to be looked at again */
    uint64_t objects; /* gone through, this time */
} sonde_got_counts;

/* `hooks` by ascending name.  When they are others than the last time, say so first with sonde_got_forget(). */
void sonde_got_patch(const sonde_got_hook *hooks, size_t len, sonde_got_counts *out);
void sonde_got_forget(void);

/* Run-time addresses.  The function of the first object, in the loader's order, that defines it, but for that of `besides`
 * (an address in it; 0: none): what a program finds.  0: none.  `out_is_only` may be NULL. */
uint64_t sonde_got_find(const char *name, uint64_t besides, bool *out_is_only);

/* The function as the object defines it which that address lies in. */
uint64_t sonde_got_find_in(const char *name, uint64_t address);

/* Whether the loader has the object of `address` behind the one that defines `name`: it came later, or is asked later. */
bool sonde_got_is_behind(uint64_t address, const char *name);

#endif /* SONDE_BASE_GOT_H */
