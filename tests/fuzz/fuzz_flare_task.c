/* fuzz_flare_task.c - configurations of AGENT_CONFIG and AGENT_TASK.
 *
 * Property   never crashes; texts end within their rooms and are cut between characters; a level is one of
 *            the library's. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "libtrace/src/apm_tracing.h"
#include "libtrace/src/flare_task.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str json = { (const char *)data, size };
    sonde__flare_task task;
    bool wanted;
    sonde_status status;
    int level;

    if (sonde__flare_task_read(json, &task, &wanted) != SONDE_OK)
        require(!wanted);
    require(memchr(task.uuid, 0, sizeof(task.uuid)) &&
            memchr(task.case_id, 0, sizeof(task.case_id)));
    require(memchr(task.hostname, 0, sizeof(task.hostname)));
    require(memchr(task.email, 0, sizeof(task.email)));
    require(!wanted || task.case_id[0]);
    status = sonde__flare_level_read(json, &level);
    (void)status;
    require(level == SONDE__REMOTE_LEVEL_NONE ||
            (level >= SONDE_LOG_OFF && level <= SONDE_LOG_TRACE));
    return 0;
}
