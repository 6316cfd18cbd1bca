/* base/crash_report.h - layout of the report behind a CRASH packet: what a fatal signal interrupted.
 *
 * The profiler's handler writes it, the agent reads it.  All numbers in the host's byte order, all parts aligned to 8:
 *
 *   head | registers | frames | modules | process block
 *
 * Threads   none.
 * Bounds    SONDE_CRASH_REPORT_MAX bytes (blackbox.h), FRAMES_MAX frames; modules as many as have room, those of the
 *           stack first.
 * Source    docs/spec/crash-report.md */
#ifndef SONDE_BASE_CRASH_REPORT_H
#define SONDE_BASE_CRASH_REPORT_H

#include <stddef.h>
#include <stdint.h>

#define SONDE_CRASH_REPORT_MAGIC      UINT32_C(0x31524353) /* "SCR1" */
#define SONDE_CRASH_REPORT_VERSION    1u
#define SONDE_CRASH_REPORT_REGS_MAX   40u
#define SONDE_CRASH_REPORT_FRAMES_MAX 512u
#define SONDE_CRASH_BUILD_ID_MAX      32u
#define SONDE_CRASH_MODULE_PATH_MAX   1024u
#define SONDE_CRASH_PROCESS_MAX       2048u

enum sonde_crash_arch {
    /* r8..r15 rdi rsi rbp rbx rdx rax rcx rsp rip eflags: <sys/ucontext.h>'s order */
    SONDE_CRASH_X86_64 = 1,
    SONDE_CRASH_AARCH64 = 2, /* x0..x30 sp pc pstate */
};

typedef struct sonde_crash_report_head {
    uint32_t magic;
    uint16_t version;
    uint16_t arch; /* sonde_crash_arch */
    int64_t unix_ns;
    uint32_t pid; /* these two in the process's own namespace */
    uint32_t tid;
    char thread_name[16]; /* NUL-terminated */
    uint64_t trace_id_high;
    uint64_t trace_id_low;
    uint64_t span_id; /* active on the thread; 0: none, or not known */
    uint64_t local_root_id;
    uint32_t regs_len;
    uint32_t frames_len;
    uint32_t modules_len;
    uint32_t modules_bytes;
    uint32_t process_bytes; /* the block ends the report; its keys are the black box's */
    uint32_t is_incomplete; /* 1: the stack goes on */
} sonde_crash_report_head;

/* An object that is loaded; its path follows, padded to 8 bytes. */
typedef struct sonde_crash_module {
    uint64_t start; /* of its executable part */
    uint64_t length;
    uint64_t file_offset;
    uint64_t bias; /* address = ELF address + bias */
    uint64_t device;
    uint64_t inode;
    uint64_t mtime_s;
    uint32_t flags; /* those of a mapping in docs/spec/profile-batch.md */
    uint16_t path_len;
    uint16_t build_id_len;
    uint8_t build_id[SONDE_CRASH_BUILD_ID_MAX];
} sonde_crash_module;

static inline size_t sonde_crash_module_bytes(size_t path_len)
{
    return sizeof(sonde_crash_module) + ((path_len + 7) & ~(size_t)7);
}

_Static_assert(offsetof(sonde_crash_report_head, thread_name) == 24, "layout of the report");
_Static_assert(offsetof(sonde_crash_report_head, span_id) == 56, "layout of the report");
_Static_assert(offsetof(sonde_crash_report_head, regs_len) == 72, "layout of the report");
_Static_assert(sizeof(sonde_crash_report_head) == 96, "layout of the report");
_Static_assert(offsetof(sonde_crash_module, flags) == 56, "layout of the report");
_Static_assert(offsetof(sonde_crash_module, build_id) == 64, "layout of the report");
_Static_assert(sizeof(sonde_crash_module) == 96, "layout of the report");

#endif /* SONDE_BASE_CRASH_REPORT_H */
