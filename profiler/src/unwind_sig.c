/* unwind_sig.c - frame by frame: a rule, the CFA, the return address, the next frame. */
#include "unwind.h"

#include <errno.h>

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "guess.h"

#define STEP_MAX  (UINT64_C(8) << 20) /* bytes of one frame */
#define RED_ZONE  128u
#define WINDOW    512u /* bytes asked for at once, aligned to as much */
#define LOWEST_PC 4096u

#if defined(__x86_64__)
#    define IS_X86 1
#    define UC_FP  120u
#    define UC_SP  160u
#    define UC_PC  168u
#    define UC_LR  0u
#else
#    define IS_X86 0
#    define UC_FP  (128u + 416u)
#    define UC_LR  (128u + 424u)
#    define UC_SP  (128u + 432u)
#    define UC_PC  (128u + 440u)
#endif

/* One walk. */
typedef struct walk {
    const sonde_prof__map *map;
    sonde_prof__regs r;
    bool fp_known;
    bool exact;  /* pc is about to run: the interrupted frame, or one behind a signal */
    uint64_t lo; /* addresses that can be read at once */
    uint64_t hi;
    const uint8_t *copy; /* of lo..hi; NULL: read them there */
    uint64_t top;        /* a CFA is not above */
    pid_t pid;           /* 0: not asked for yet */
    uint64_t window_at;  /* 0: none */
    uint64_t window[WINDOW / sizeof(uint64_t)];
} walk;

/* -- memory ----------------------------------------------------------------------------------------- */

/* Where process_vm_readv() is not allowed: a call that reads eight bytes and does nothing else, because its first
 * argument is wrong, says EFAULT for memory that is not there. */
__attribute__((no_sanitize("address", "thread"))) static bool probe(walk *w, uint64_t at)
{
    const uint64_t *from = (const uint64_t *)(uintptr_t)at;
    size_t i;

    if (syscall(SYS_rt_sigprocmask, ~0L, at, NULL, 8L) != -1 || errno == EFAULT)
        return false;
    for (i = 0; i < WINDOW / sizeof(*from); i++) /* of one page, which is there */
        w->window[i] = from[i];
    return true;
}

static bool fetch(walk *w, uint64_t at)
{
    struct iovec to = { w->window, WINDOW }, from = { (void *)(uintptr_t)at, WINDOW };
    int saved = errno;
    bool ok;

    if (w->pid == 0)
        w->pid = getpid();
    ok = process_vm_readv(w->pid, &to, 1, &from, 1, 0) == (ssize_t)WINDOW;
    if (!ok && (errno == EPERM || errno == ENOSYS))
        ok = probe(w, at);
    errno = saved;
    w->window_at = ok ? at : 0;
    return ok;
}

/* A stack holds what a sanitizer calls poisoned, and other threads' writes do not matter here. */
__attribute__((no_sanitize("address", "thread"))) static bool load(walk *w, uint64_t at,
                                                                   uint64_t *out)
{
    uint64_t window = at & ~(uint64_t)(WINDOW - 1);

    if (at % 8 != 0)
        return false;
    if (w->hi != 0 && at >= w->lo && at <= w->hi - 8) {
        const uint8_t *from = w->copy ? w->copy + (at - w->lo) : (const uint8_t *)(uintptr_t)at;

        *out = *(const uint64_t *)(const void *)from;
        return true;
    }
    if (at < LOWEST_PC || (w->window_at != window && !fetch(w, window)))
        return false;
    *out = w->window[(at - window) / sizeof(*out)];
    return true;
}

/* -- rules ------------------------------------------------------------------------------------------ */

const sonde_prof__table *sonde_prof__map_find(const sonde_prof__map *map, uint64_t pc)
{
    uint32_t first = 0, last = map->len;

    while (first < last) {
        uint32_t middle = first + (last - first) / 2;

        if (map->tables[middle]->text_lo <= pc)
            first = middle + 1;
        else
            last = middle;
    }
    return first > 0 && pc < map->tables[first - 1]->text_hi ? map->tables[first - 1] : NULL;
}

/* Signed code pointers are user addresses with something above. */
static uint64_t strip(uint64_t ra)
{
    return IS_X86 ? ra : ra & ((UINT64_C(1) << 48) - 1);
}

static bool is_cfa(const walk *w, uint64_t cfa)
{
    uint64_t least = w->r.sp + (IS_X86 || !w->exact ? 1 : 0);

    return cfa >= least && cfa <= w->top && cfa % 8 == 0 && cfa - w->r.sp <= STEP_MAX;
}

static bool know_fp(walk *w)
{
    uint64_t pc = w->exact ? w->r.pc : w->r.pc - 1;

    if (!w->fp_known && w->r.guess)
        w->fp_known = w->r.guess->find(w->r.guess, w->map, pc, w->r.sp, &w->r.fp);
    return w->fp_known;
}

/* A pair {FP, RA} at FP, as code with frame pointers leaves it. */
static sonde_prof__end step_fallback(walk *w)
{
    uint64_t cfa, fp, ra;

    if (!know_fp(w))
        return SONDE_PROF__BAD_CFA;
    if (w->r.fp == 0) { /* as a process begins: there is no caller */
        w->r.pc = 0;
        return SONDE_PROF__COMPLETE;
    }
    cfa = w->r.fp + 16;
    if (!is_cfa(w, cfa))
        return SONDE_PROF__BAD_CFA;
    if (!load(w, w->r.fp, &fp) || !load(w, w->r.fp + 8, &ra))
        return SONDE_PROF__UNREADABLE;
    w->r.pc = strip(ra);
    w->r.sp = cfa;
    w->r.fp = fp;
    w->r.all = NULL;
    w->exact = false;
    return SONDE_PROF__COMPLETE;
}

/* The registers the kernel saved for the handler whose return this is. */
static sonde_prof__end step_signal(walk *w)
{
    uint64_t at = w->r.sp, pc, sp, fp, lr = 0;

    if (!load(w, at + UC_PC, &pc) || !load(w, at + UC_SP, &sp) || !load(w, at + UC_FP, &fp) ||
        (!IS_X86 && !load(w, at + UC_LR, &lr)))
        return SONDE_PROF__UNREADABLE;
    w->r = (sonde_prof__regs){ pc, sp, fp, lr, NULL, NULL };
    w->fp_known = true;
    w->exact = true;
    w->top = w->hi != 0 && sp >= w->lo && sp < w->hi ? w->hi : sp + STEP_MAX;
    return SONDE_PROF__COMPLETE;
}

static bool find_cfa(walk *w, const sonde_prof__rule *rule, uint64_t *out, sonde_prof__end *why)
{
    uint64_t off = (uint64_t)(int64_t)rule->cfa_off, at;

    *why = SONDE_PROF__NO_RULE;
    switch (rule->cfa_kind) {
    case SONDE_PROF__CFA_SP:
        *out = w->r.sp + off;
        return true;
    case SONDE_PROF__CFA_FP:
        if (!know_fp(w))
            return false;
        *out = w->r.fp + off;
        return true;
    case SONDE_PROF__CFA_PLT:
        *out = w->r.sp + 8 + ((w->r.pc & 15) >= rule->post ? 8 : 0);
        return true;
    case SONDE_PROF__CFA_SP_DEREF:
    case SONDE_PROF__CFA_FP_DEREF:
        at = (rule->cfa_kind == SONDE_PROF__CFA_SP_DEREF ? w->r.sp : w->r.fp) + off;
        *why = SONDE_PROF__UNREADABLE;
        if (!load(w, at, out))
            return false;
        *out += rule->post;
        return true;
    default:
        if (rule->cfa_kind < SONDE_PROF__CFA_REG || !w->exact || !w->r.all)
            return false;
        *out = w->r.all[rule->cfa_kind - SONDE_PROF__CFA_REG] + off;
        return true;
    }
}

#if IS_X86

static bool find_caller(walk *w, const sonde_prof__rule *rule, uint64_t cfa, uint64_t *ra)
{
    uint64_t fp = w->r.fp, base;

    if (!load(w, cfa - 8, ra))
        return false;
    if (rule->aux_kind == SONDE_PROF__AUX_AT_CFA || rule->aux_kind == SONDE_PROF__AUX_AT_FP) {
        base = rule->aux_kind == SONDE_PROF__AUX_AT_CFA ? cfa : w->r.fp;
        if (!load(w, base + (uint64_t)(int64_t)rule->aux_off, &fp))
            return false;
    }
    w->fp_known = w->fp_known && rule->aux_kind != SONDE_PROF__AUX_UNDEF;
    if (rule->aux_kind == SONDE_PROF__AUX_AT_CFA || rule->aux_kind == SONDE_PROF__AUX_AT_FP)
        w->fp_known = true;
    w->r.fp = fp;
    return true;
}

#else

static bool find_caller(walk *w, const sonde_prof__rule *rule, uint64_t cfa, uint64_t *ra)
{
    uint64_t at = cfa + (uint64_t)(int64_t)rule->aux_off;

    if (rule->aux_kind == SONDE_PROF__AUX_SAME) {
        *ra = w->r.lr;
        return w->exact;
    }
    if (!load(w, at, ra))
        return false;
    return !(rule->flags & SONDE_PROF__FP_BELOW_RA) || load(w, at - 8, &w->r.fp);
}

#endif

static sonde_prof__end step(walk *w, const sonde_prof__rule *rule)
{
    sonde_prof__end why;
    uint64_t cfa, ra;

    if (rule->cfa_kind == SONDE_PROF__CFA_SIGNAL)
        return step_signal(w);
    if (rule->cfa_kind == SONDE_PROF__CFA_FALLBACK)
        return step_fallback(w);
    if (!find_cfa(w, rule, &cfa, &why))
        return why;
    if (!is_cfa(w, cfa))
        return SONDE_PROF__BAD_CFA;
    if (!find_caller(w, rule, cfa, &ra))
        return SONDE_PROF__UNREADABLE;
    w->r.pc = strip(ra);
    w->r.sp = cfa;
    w->r.all = NULL;
    w->exact = false;
    return SONDE_PROF__COMPLETE;
}

/* -- the walk --------------------------------------------------------------------------------------- */

static void begin(walk *w, const sonde_prof__map *map, const sonde_prof__regs *regs,
                  const sonde_prof__stack *stack)
{
    uint64_t lowest = regs->sp - RED_ZONE;
    bool inside = stack->hi != 0 && regs->sp >= stack->lo && regs->sp < stack->hi;

    w->map = map;
    w->r = *regs;
    w->fp_known = !regs->guess;
    w->exact = true;
    w->lo = lowest > stack->lo && !stack->copy ? lowest : stack->lo;
    w->hi = inside ? stack->hi : 0;
    w->copy = stack->copy;
    w->top = inside && !stack->copy ? stack->hi : regs->sp + STEP_MAX;
    w->pid = 0;
    w->window_at = 0;
}

uint32_t sonde_prof__unwind(const sonde_prof__map *map, const sonde_prof__regs *regs,
                            const sonde_prof__stack *stack, uint64_t *out, uint32_t max,
                            sonde_prof__end *out_end)
{
    static const sonde_prof__rule fallback = { .cfa_kind = SONDE_PROF__CFA_FALLBACK };
    uint32_t n = 0;
    walk w;

    begin(&w, map, regs, stack);
    for (;;) {
        uint64_t pc = w.exact ? w.r.pc : w.r.pc - 1;
        const sonde_prof__table *t = sonde_prof__map_find(map, pc);
        const sonde_prof__rule *rule = t ? sonde_prof__table_find(t, pc) : NULL;

        if (n == max || n == SONDE_PROF__FRAMES_MAX) {
            *out_end = SONDE_PROF__TRUNCATED;
            return n;
        }
        out[n++] = pc;
        if (rule && rule->cfa_kind == SONDE_PROF__CFA_STOP) {
            *out_end = SONDE_PROF__COMPLETE;
            return n;
        }
        *out_end = step(&w, rule ? rule : &fallback);
        if (*out_end == SONDE_PROF__COMPLETE && w.r.pc >= LOWEST_PC)
            continue;
        /* A return address of nothing is how some threads begin. */
        if (*out_end != SONDE_PROF__COMPLETE && !rule)
            *out_end = SONDE_PROF__NO_RANGE;
        return n;
    }
}
