/* flare_report.h - the request that carries a flare: an archive in a form.
 *
 * Threads   the flusher's.
 * Bounds    the buffers' ceilings. */
#ifndef SONDE_LIBTRACE_FLARE_REPORT_H
#define SONDE_LIBTRACE_FLARE_REPORT_H

#include "base/buf.h"

#include "config.h"
#include "flare_task.h"

/* The archive: tracer.log, configuration.json, runtime.json, counters.json. */
void sonde__flare_write_archive(const sonde__config *c, sonde_buf *out);

/* The multipart body around it.  `boundary` is nowhere in it. */
void sonde__flare_write_form(const sonde__config *c, const sonde__flare_task *task, sonde_str zip,
                             const char *boundary, int64_t now_unix_ns, sonde_buf *out);

#endif /* SONDE_LIBTRACE_FLARE_REPORT_H */
