/* agent/cli/findings.h - what `sonde doctor` found, step by step, as text or JSON.
 *
 * Threads   none.
 * Bounds    FINDINGS_MAX steps; texts are cut to FINDING_TEXT_MAX.
 */
#ifndef SONDE_AGENT_CLI_FINDINGS_H
#define SONDE_AGENT_CLI_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "sonde/status.h"

#define FINDINGS_MAX     32
#define FINDING_TEXT_MAX 400

typedef enum finding_state {
    FINDING_OK,
    FINDING_WARNING,
    FINDING_FAILED,
    FINDING_SKIPPED
} finding_state;

typedef struct finding {
    const char *step; /* static */
    finding_state state;
    char detail[FINDING_TEXT_MAX];
    char fix[FINDING_TEXT_MAX]; /* what to do; "" nothing */
} finding;

typedef struct findings {
    finding item[FINDINGS_MAX];
    size_t len;
} findings;

/* `fix` NULL: nothing. */
void findings_add(findings *f, const char *step, finding_state state, const char *fix,
                  const char *fmt, ...) SONDE_PRINTF(5, 6);
bool findings_failed(const findings *f); /* any step failed */
void findings_text(const findings *f, bool in_colour, sonde_buf *out);
void findings_json(const findings *f, sonde_buf *out);

#endif /* SONDE_AGENT_CLI_FINDINGS_H */
