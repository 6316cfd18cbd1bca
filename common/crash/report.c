/* report.c - the parts of a report, one behind the other. */
#include "report.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* What is left to be read; `bad` stays. */
typedef struct cursor {
    const uint8_t *at;
    size_t left;
    bool bad;
} cursor;

static const uint8_t *take(cursor *c, size_t bytes)
{
    const uint8_t *at = c->at;

    if (c->bad || bytes > c->left) {
        c->bad = true;
        return NULL;
    }
    c->at += bytes;
    c->left -= bytes;
    return at;
}

static void copy(cursor *c, void *to, size_t bytes)
{
    const uint8_t *from = take(c, bytes);

    if (from)
        memcpy(to, from, bytes);
}

static sonde_str valid_text(const void *text, size_t len)
{
    sonde_str s = { text, len };

    return sonde_utf8_valid(s) ? s : (sonde_str){ NULL, 0 };
}

static bool check_head(const sonde_crash_report_head *h, size_t left)
{
    return h->magic == SONDE_CRASH_REPORT_MAGIC && h->version == SONDE_CRASH_REPORT_VERSION &&
           h->regs_len <= SONDE_CRASH_REPORT_REGS_MAX &&
           h->frames_len <= SONDE_CRASH_REPORT_FRAMES_MAX && h->modules_bytes <= left &&
           h->process_bytes <= SONDE_CRASH_PROCESS_MAX;
}

/* One that cannot be is the last. */
static void read_modules(sonde_crash_report *out, cursor *c)
{
    cursor in = { take(c, out->head.modules_bytes), out->head.modules_bytes, c->bad };

    while (!in.bad && in.left > 0 && out->modules_len < SONDE_CRASH_REPORT_MODULES_MAX) {
        sonde_crash_report_module *m = &out->modules[out->modules_len];
        const uint8_t *path;

        copy(&in, &m->head, sizeof(m->head));
        if (in.bad || m->head.path_len > SONDE_CRASH_MODULE_PATH_MAX ||
            m->head.build_id_len > SONDE_CRASH_BUILD_ID_MAX)
            return;
        path = take(&in, sonde_crash_module_bytes(m->head.path_len) - sizeof(m->head));
        if (!path)
            return;
        m->path = valid_text(path, m->head.path_len);
        out->modules_len++;
    }
}

bool sonde_crash_report_read(sonde_crash_report *out, const uint8_t *packet, size_t len)
{
    cursor c = { packet, len, len > sizeof(sonde_crash_crash) + SONDE_CRASH_REPORT_MAX };

    out->modules_len = 0;
    copy(&c, &out->crash, sizeof(out->crash));
    copy(&c, &out->head, sizeof(out->head));
    if (c.bad || !check_head(&out->head, c.left))
        return false;
    copy(&c, out->regs, out->head.regs_len * sizeof(uint64_t));
    copy(&c, out->frames, out->head.frames_len * sizeof(uint64_t));
    read_modules(out, &c);
    sonde_process_block_read(&out->process,
                             (sonde_str){ (const char *)take(&c, out->head.process_bytes),
                                          c.bad ? 0 : out->head.process_bytes });
    out->thread_name = valid_text(out->head.thread_name,
                                  strnlen(out->head.thread_name, sizeof(out->head.thread_name)));
    return !c.bad;
}

const sonde_crash_report_module *sonde_crash_module_of(const sonde_crash_report *r,
                                                       uint64_t address)
{
    uint32_t i;

    for (i = 0; i < r->modules_len; i++)
        if (address - r->modules[i].head.start < r->modules[i].head.length)
            return &r->modules[i];
    return NULL;
}

/* -- names ------------------------------------------------------------------------------------------ */

void sonde_crash_signal_name(int signo, char out[SONDE_CRASH_NAME_ROOM])
{
    const char *name = sigabbrev_np(signo);

    if (name)
        (void)snprintf(out, SONDE_CRASH_NAME_ROOM, "SIG%s", name);
    else
        (void)snprintf(out, SONDE_CRASH_NAME_ROOM, "signal %d", signo);
}

static const struct {
    int signo; /* 0: of any */
    int code;
    const char *name;
} codes[] = {
    { 0, SI_USER, "SI_USER" },
    { 0, SI_QUEUE, "SI_QUEUE" },
    { 0, SI_TIMER, "SI_TIMER" },
    { 0, SI_MESGQ, "SI_MESGQ" },
    { 0, SI_ASYNCIO, "SI_ASYNCIO" },
    { 0, SI_SIGIO, "SI_SIGIO" },
    { 0, SI_TKILL, "SI_TKILL" },
    { 0, SI_KERNEL, "SI_KERNEL" },
    { SIGSEGV, SEGV_MAPERR, "SEGV_MAPERR" },
    { SIGSEGV, SEGV_ACCERR, "SEGV_ACCERR" },
    { SIGSEGV, 3, "SEGV_BNDERR" },
    { SIGSEGV, 4, "SEGV_PKUERR" },
    { SIGBUS, BUS_ADRALN, "BUS_ADRALN" },
    { SIGBUS, BUS_ADRERR, "BUS_ADRERR" },
    { SIGBUS, BUS_OBJERR, "BUS_OBJERR" },
    { SIGBUS, 4, "BUS_MCEERR_AR" },
    { SIGBUS, 5, "BUS_MCEERR_AO" },
    { SIGILL, ILL_ILLOPC, "ILL_ILLOPC" },
    { SIGILL, ILL_ILLOPN, "ILL_ILLOPN" },
    { SIGILL, ILL_ILLADR, "ILL_ILLADR" },
    { SIGILL, ILL_ILLTRP, "ILL_ILLTRP" },
    { SIGILL, ILL_PRVOPC, "ILL_PRVOPC" },
    { SIGILL, ILL_PRVREG, "ILL_PRVREG" },
    { SIGILL, ILL_COPROC, "ILL_COPROC" },
    { SIGILL, ILL_BADSTK, "ILL_BADSTK" },
    { SIGFPE, FPE_INTDIV, "FPE_INTDIV" },
    { SIGFPE, FPE_INTOVF, "FPE_INTOVF" },
    { SIGFPE, FPE_FLTDIV, "FPE_FLTDIV" },
    { SIGFPE, FPE_FLTOVF, "FPE_FLTOVF" },
    { SIGFPE, FPE_FLTUND, "FPE_FLTUND" },
    { SIGFPE, FPE_FLTRES, "FPE_FLTRES" },
    { SIGFPE, FPE_FLTINV, "FPE_FLTINV" },
    { SIGFPE, FPE_FLTSUB, "FPE_FLTSUB" },
    { SIGSYS, 1, "SYS_SECCOMP" },
};

const char *sonde_crash_code_name(int signo, int code)
{
    size_t i;

    for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (codes[i].code == code && (codes[i].signo == 0 || codes[i].signo == signo))
            return codes[i].name;
    return "UNKNOWN";
}

const char *sonde_crash_register_name(const sonde_crash_report *r, uint32_t i)
{
    static const char *const x86[] = { "r8",  "r9",  "r10", "r11", "r12", "r13",
                                       "r14", "r15", "rdi", "rsi", "rbp", "rbx",
                                       "rdx", "rax", "rcx", "rsp", "rip", "eflags" };
    static const char *const arm[] = { "x0",  "x1",  "x2",  "x3",  "x4",  "x5",    "x6",
                                       "x7",  "x8",  "x9",  "x10", "x11", "x12",   "x13",
                                       "x14", "x15", "x16", "x17", "x18", "x19",   "x20",
                                       "x21", "x22", "x23", "x24", "x25", "x26",   "x27",
                                       "x28", "x29", "x30", "sp",  "pc",  "pstate" };

    if (r->head.arch == SONDE_CRASH_X86_64)
        return i < sizeof(x86) / sizeof(x86[0]) ? x86[i] : NULL;
    if (r->head.arch == SONDE_CRASH_AARCH64)
        return i < sizeof(arm) / sizeof(arm[0]) ? arm[i] : NULL;
    return NULL;
}

bool sonde_crash_report_is_better(const sonde_crash_report *newer, const sonde_crash_report *older)
{
    return newer->crash.si_code > 0 || older->crash.si_code <= 0;
}
