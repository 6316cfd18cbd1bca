/* telemetry_write.c - the envelope, up to its payload. */
#include "codec/telemetry_write.h"

static void put_application(sonde_json_writer *w, const sonde_telemetry_head *h)
{
    sonde_json_key(w, SONDE_STR("application"));
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "service_name", h->service);
    sonde_json_put_str(w, "env", h->env);
    sonde_json_put_str(w, "service_version", h->version);
    sonde_json_put_str(w, "tracer_version", h->tracer_version);
    sonde_json_put_str(w, "language_name", h->language);
    sonde_json_put_str(w, "language_version", SONDE_STR("201112")); /* C11 */
    if (h->process_tags.len > 0)
        sonde_json_put_str(w, "process_tags", h->process_tags);
    sonde_json_end_object(w);
}

static void put_host(sonde_json_writer *w, sonde_str hostname, const sonde_machine *m)
{
    sonde_json_key(w, SONDE_STR("host"));
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "hostname", hostname);
    sonde_json_put_str(w, "os", SONDE_STR("GNU/Linux"));
    sonde_json_put_str(w, "os_version", sonde_str_from(m->os_version));
    sonde_json_put_str(w, "architecture", sonde_str_from(m->kernel.machine));
    sonde_json_put_str(w, "kernel_name", sonde_str_from(m->kernel.sysname));
    sonde_json_put_str(w, "kernel_release", sonde_str_from(m->kernel.release));
    sonde_json_put_str(w, "kernel_version", sonde_str_from(m->kernel.version));
    sonde_json_end_object(w);
}

void sonde_telemetry_begin(sonde_json_writer *w, const sonde_telemetry_head *h)
{
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "api_version", SONDE_STR("v2"));
    sonde_json_put_str(w, "request_type", sonde_str_from(h->type));
    sonde_json_put_i64(w, "tracer_time", h->unix_s);
    sonde_json_put_str(w, "runtime_id", h->runtime_id);
    sonde_json_put_u64(w, "seq_id", h->seq);
    sonde_json_put_bool(w, "debug", h->debug);
    put_application(w, h);
    put_host(w, h->hostname, h->machine);
    sonde_json_key(w, SONDE_STR("payload"));
}
