/* base/error.h - filling a sonde_error.
 *
 * sonde_fail(out, SONDE_ERR_CONFIG, "DD_X=\"%.*s\": ...", ...) writes the detail when `out` is not NULL
 * and returns the status, so that a failing function ends in `return sonde_fail(...)`. */
#ifndef SONDE_BASE_ERROR_H
#define SONDE_BASE_ERROR_H

#include "sonde/status.h"

sonde_status sonde_fail(sonde_error *out_error, sonde_status status, const char *fmt, ...)
    SONDE_PRINTF(3, 4);

/* The same for SONDE_ERR_SYS; keeps `sys_errno` and appends its text. */
sonde_status sonde_fail_sys(sonde_error *out_error, int sys_errno, const char *fmt, ...)
    SONDE_PRINTF(3, 4);

#endif /* SONDE_BASE_ERROR_H */
