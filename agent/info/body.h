/* body.h - the body of /info, made once at the start. */
#ifndef SONDE_AGENT_INFO_BODY_H
#define SONDE_AGENT_INFO_BODY_H

#include "agent/info/info.h"

#define INFO_LIST_MAX 256 /* of what is sorted; configuration lists hold no more */

/* `env` is normalised.  Failures are the buffer's sticky status. */
void write_info_body(sonde_buf *out, const agent_config *c, const info_options *options,
                     sonde_str env);

#endif /* SONDE_AGENT_INFO_BODY_H */
