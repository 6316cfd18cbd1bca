/* crash/report.h - a report of a fatal signal, as a process's handler wrote it: checked, and its parts found.
 *
 * The bytes come from outside and are never believed: lengths, counts and text are checked against what is there.
 *
 * Threads   none.  Memory: views into the packet, which the reader keeps.
 * Bounds    those of base/crash_report.h, and SONDE_CRASH_REPORT_MODULES_MAX.
 * Source    docs/spec/crash-report.md */
#ifndef SONDE_CRASH_REPORT_H
#define SONDE_CRASH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blackbox.h"
#include "base/crash_report.h"
#include "base/str.h"

#include "process_block.h"

#define SONDE_CRASH_REPORT_MODULES_MAX 640u

typedef struct sonde_crash_report_module {
    sonde_crash_module head;
    sonde_str path; /* UTF-8; as the process sees it */
} sonde_crash_report_module;

typedef struct sonde_crash_report {
    sonde_crash_crash crash;
    sonde_crash_report_head head;
    uint64_t regs[SONDE_CRASH_REPORT_REGS_MAX];
    uint64_t frames[SONDE_CRASH_REPORT_FRAMES_MAX];
    uint32_t modules_len; /* those that could be read */
    sonde_crash_report_module modules[SONDE_CRASH_REPORT_MODULES_MAX];
    sonde_str thread_name;
    sonde_process_block process;
} sonde_crash_report;

/* From a whole CRASH packet.  False: it is none; `out` is undefined. */
bool sonde_crash_report_read(sonde_crash_report *out, const uint8_t *packet, size_t len);

/* The module an address belongs to; NULL: none that is known. */
const sonde_crash_report_module *sonde_crash_module_of(const sonde_crash_report *r,
                                                       uint64_t address);

/* "SIGSEGV", "SEGV_MAPERR"; never empty. */
#define SONDE_CRASH_NAME_ROOM 32
void sonde_crash_signal_name(int signo, char out[SONDE_CRASH_NAME_ROOM]);
const char *sonde_crash_code_name(int signo, int code);

/* The name of a register by its place; NULL: there is none. */
const char *sonde_crash_register_name(const sonde_crash_report *r, uint32_t i);

/* Whether the newer one of two says more about a death: the kernel's word is better than one that was sent. */
bool sonde_crash_report_is_better(const sonde_crash_report *newer, const sonde_crash_report *older);

#endif /* SONDE_CRASH_REPORT_H */
