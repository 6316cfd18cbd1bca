/* local_intake_absent.c - a build without the dashboards. */
#include "local_intake.h"

#include "base/error.h"

bool local_intake_exists(void)
{
    return false;
}

sonde_status local_intake_open(const agent_config *c, const char *api_keys,
                               local_intake **out_intake, sonde_error *out_error)
{
    (void)c, (void)api_keys, (void)out_intake;
    return sonde_fail(out_error, SONDE_ERR_STATE,
                      "this sonde was built without its intake (SONDE_BUILD_DASHBOARDS=OFF)");
}

const char *local_intake_url(const local_intake *i)
{
    (void)i;
    return "";
}

void local_intake_close(local_intake *i, uint64_t deadline_mono_ns)
{
    (void)i, (void)deadline_mono_ns;
}
