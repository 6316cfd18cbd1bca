/* error.c - filling a sonde_error. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(sonde_error *out_error, sonde_status status, int sys_errno, const char *fmt,
                 va_list args) SONDE_PRINTF(4, 0);

static void fill(sonde_error *out_error, sonde_status status, int sys_errno, const char *fmt,
                 va_list args)
{
    out_error->status = status;
    out_error->sys_errno = sys_errno;
    if (vsnprintf(out_error->message, sizeof(out_error->message), fmt, args) < 0)
        out_error->message[0] = '\0';
}

sonde_status sonde_fail(sonde_error *out_error, sonde_status status, const char *fmt, ...)
{
    va_list args;

    if (!out_error)
        return status;
    va_start(args, fmt);
    fill(out_error, status, 0, fmt, args);
    va_end(args);
    return status;
}

sonde_status sonde_fail_sys(sonde_error *out_error, int sys_errno, const char *fmt, ...)
{
    va_list args;
    size_t len;

    if (!out_error)
        return SONDE_ERR_SYS;
    va_start(args, fmt);
    fill(out_error, SONDE_ERR_SYS, sys_errno, fmt, args);
    va_end(args);
    len = strlen(out_error->message);
    (void)snprintf(out_error->message + len, sizeof(out_error->message) - len, ": %s",
                   strerror(sys_errno));
    return SONDE_ERR_SYS;
}
