/* known.c - keys of Datadog's agent that do nothing here.
 *
 * A file made for Datadog's agent must not drown what matters in warnings, and whoever set one of these
 * should still hear that it does nothing.  A key that gets a meaning moves to keys.c; while it is in both,
 * that table counts.
 */
#include "internal.h"

/* clang-format off */
const known_key known_keys[] = {
    { "tls_handshake_timeout", "DD_TLS_HANDSHAKE_TIMEOUT",
      "a request to an intake has 10 s in all" },
    { "log_format_rfc3339", "DD_LOG_FORMAT_RFC3339",
      "the time of a line is always written like that" },
    { "dogstatsd_non_local_traffic", "DD_DOGSTATSD_NON_LOCAL_TRAFFIC", NULL },
    { "dogstatsd_buffer_size", "DD_DOGSTATSD_BUFFER_SIZE", NULL },
    { "remote_configuration.enabled", "DD_REMOTE_CONFIGURATION_ENABLED",
      "tracers are answered that there is none" },
    { "remote_configuration.apm_sampling.enabled", "DD_REMOTE_CONFIGURATION_APM_SAMPLING_ENABLED", NULL },
    { "secret_refresh_on_api_key_failure_interval", "DD_SECRET_REFRESH_ON_API_KEY_FAILURE_INTERVAL",
      "secrets of a backend are not resolved" },
    { "apm_config.trace_writer.queue_size", "DD_APM_CONFIG_TRACE_WRITER_QUEUE_SIZE",
      "what waits for an intake is bounded by forwarder_retry_queue_payloads_max_size" },
    { "apm_config.stats_writer.connection_limit", "DD_APM_CONFIG_STATS_WRITER_CONNECTION_LIMIT",
      "statistics share the connections of apm_config.trace_writer.connection_limit" },
    { "apm_config.stats_writer.flush_period_seconds", "DD_APM_STATS_WRITER_FLUSH_PERIOD_SECONDS",
      "statistics leave as soon as their bucket is over" },
    { "apm_config.stats_writer.queue_size", "DD_APM_CONFIG_STATS_WRITER_QUEUE_SIZE",
      "what waits for an intake is bounded by forwarder_retry_queue_payloads_max_size" },
    { "apm_config.sync_flushing", "DD_APM_SYNC_FLUSHING", NULL },
    { "apm_config.client_stats_flush_interval", "DD_APM_CLIENT_STATS_FLUSH_INTERVAL",
      "statistics leave as soon as their bucket is over" },
    { "apm_config.max_remote_traces_per_second", "DD_APM_MAX_REMOTE_TPS", NULL },
    { "apm_config.debug.port", "DD_APM_DEBUG_PORT",
      "the pages are on apm_config.receiver_port, for this host alone" },
    { "apm_config.debug_v1_payloads", "DD_APM_DEBUG_V1_PAYLOADS", NULL },
    { "apm_config.enable_container_tags_buffer", "DD_APM_ENABLE_CONTAINER_TAGS_BUFFER",
      "payloads do not wait for a container's tags" },
    { "apm_config.internal_profiling.enabled", "DD_APM_INTERNAL_PROFILING_ENABLED",
      "any profiler can be preloaded" },
    { "otlp_config.*", NULL, NULL },
    { "otlp_config", NULL, NULL },
    { "multi_region_failover.*", NULL, NULL },
    { "multi_region_failover", NULL, NULL },
    { "process_config.*", NULL, NULL },
    { "process_config", NULL, NULL },
    { "logs_config.*", NULL, NULL },
    { "logs_config", NULL, NULL },
    { "network_config.*", NULL, NULL },
    { "network_config", NULL, NULL },
    { "runtime_security_config.*", NULL, NULL },
    { "runtime_security_config", NULL, NULL },
    { "compliance_config.*", NULL, NULL },
    { "compliance_config", NULL, NULL },
    { "sbom.*", NULL, NULL },
    { "sbom", NULL, NULL },
    { "container_image.*", NULL, NULL },
    { "container_image", NULL, NULL },
    { "container_lifecycle.*", NULL, NULL },
    { "container_lifecycle", NULL, NULL },
    { "database_monitoring.*", NULL, NULL },
    { "database_monitoring", NULL, NULL },
    { "cluster_agent.*", NULL, NULL },
    { "cluster_agent", NULL, NULL },
    { "orchestrator_explorer.*", NULL, NULL },
    { "orchestrator_explorer", NULL, NULL },
    { "inventories_configuration_enabled", NULL, NULL },
    { "metadata_providers.*", NULL, NULL },
    { "metadata_providers", NULL, NULL },
    { "config_providers", NULL, NULL },
    { "listeners", NULL, NULL },
    { "telemetry.*", NULL, NULL },
    { "telemetry", NULL, NULL },
    { "expvar_port", NULL, NULL },
    { "cmd_port", NULL, NULL },
    { "GUI_port", NULL, NULL },
    { "agent_ipc.*", NULL, NULL },
    { "agent_ipc", NULL, NULL },
    { "secret_backend_command", NULL,
      "secrets of a backend are not resolved; give the value itself, by a variable or in conf.d" },
    { "secret_backend_arguments", NULL,
      "secrets of a backend are not resolved" },
    { "secret_backend_timeout", NULL,
      "secrets of a backend are not resolved" },
    { "api_key_validation_interval", NULL, NULL },
    { "confd_path", NULL, NULL },
    { "additional_checksd", NULL, NULL },
    { "check_runners", NULL, NULL },
    { "collect_ec2_tags", NULL, NULL },
    { "collect_gce_tags", NULL, NULL },
    { "enable_metadata_collection", NULL, NULL },
    { "hostname_fqdn", NULL, NULL },
    { "hostname_file", NULL, NULL },
    { "hostname_trust_uts_namespace", NULL, NULL },
    { "host_aliases", NULL, NULL },
    { "histogram_aggregates", NULL, NULL },
    { "histogram_percentiles", NULL, NULL },
    { "cloud_provider_metadata.*", NULL, NULL },
    { "cloud_provider_metadata", NULL, NULL },
    { "procfs_path", NULL, NULL },
    { "container_proc_root", NULL, NULL },
    { "container_cgroup_root", NULL, NULL },
    { "dogstatsd_origin_detection", NULL, NULL },
    { "dogstatsd_tags", NULL, NULL },
    { "dogstatsd_mapper_profiles", NULL, NULL },
    { "statsd_forward_host", NULL, NULL },
    { "statsd_forward_port", NULL, NULL },
    { "statsd_metric_namespace", NULL, NULL },
    { "kubernetes_kubelet_host", NULL, NULL },
    { "kubernetes_pod_labels_as_tags", NULL, NULL },
    { "docker_labels_as_tags", NULL, NULL },
    { "container_exclude", NULL, NULL },
    { "container_include", NULL, NULL },
    { "ac_exclude", NULL, NULL },
    { "ac_include", NULL, NULL },
    { "experimental.*", NULL, NULL },
    { "experimental", NULL, NULL },
    { "fips.*", NULL, NULL },
    { "fips", NULL, NULL },
    { "use_v2_api.*", NULL, NULL },
    { "use_v2_api", NULL, NULL },
    { "installer.*", NULL, NULL },
    { "installer", NULL, NULL },
    { "remote_updates", NULL, NULL },
    { "language_detection.*", NULL, NULL },
    { "language_detection", NULL, NULL },
    { "admission_controller.*", NULL, NULL },
    { "admission_controller", NULL, NULL },
    { "snmp_listener.*", NULL, NULL },
    { "snmp_listener", NULL, NULL },
    { "network_devices.*", NULL, NULL },
    { "network_devices", NULL, NULL },
    { "network_path.*", NULL, NULL },
    { "network_path", NULL, NULL },
    { "health_port", NULL, NULL },
    { "tracemalloc_debug", NULL, NULL },
    { "integration_profiling", NULL, NULL },
    { "memtrack_enabled", NULL, NULL },
    { "flare_stripped_keys", NULL, NULL },
    { "scrubber.*", NULL, NULL },
    { "scrubber", NULL, NULL },
    { "serializer_max_payload_size", NULL, NULL },
    { "forwarder_num_workers", NULL, NULL },
    { "forwarder_stop_timeout", NULL, NULL },
    { "forwarder_apikey_validation_interval", NULL, NULL },
    { "forwarder_connection_reset_interval", NULL, NULL },
    { "forwarder_recovery_interval", NULL, NULL },
    { "forwarder_recovery_reset", NULL, NULL },
};
/* clang-format on */
const size_t known_keys_len = sizeof(known_keys) / sizeof(known_keys[0]);

static bool is_meant(const known_key *key, sonde_str name)
{
    sonde_str known = sonde_str_from(key->name);

    if (!sonde_str_ends(known, SONDE_STR(".*")))
        return sonde_str_eq(name, known);
    return sonde_str_starts(name, sonde_str_sub(known, 0, known.len - 1));
}

const known_key *known_find(sonde_str name)
{
    for (size_t i = 0; i < known_keys_len; i++)
        if (is_meant(&known_keys[i], name))
            return &known_keys[i];
    return NULL;
}

bool known_is_feature(sonde_str name)
{
    static const char *const names[] = {
        "429",
        "error_rare_sample_tracer_drop",
        "probabilistic_sampler_full_trace_id",
        "big_resource",
        "component2name",
        "table_names",
        "keep_sql_alias",
        "replace_sql_digits",
        "quantize_sql_tables",
        "dollar_quoted_func",
        "sqllexer",
        "disable_cid_stats",
        "disable_process_stats",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (sonde_str_eq(name, sonde_str_from(names[i])))
            return true;
    return false;
}
