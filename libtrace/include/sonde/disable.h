/* sonde/disable.h - the API compiled out: included by <sonde/sonde.h> where SONDE_DISABLE is defined.
 *
 *   cc -DSONDE_DISABLE ...       instrumented code costs no instruction and needs no libsonde-trace
 *
 * Calls are still checked by the compiler, but their arguments are not evaluated: what a program does in an
 * argument is not done.  Spans and contexts are NULL, texts empty, numbers 0; structs to be filled are
 * cleared.  Addresses of functions, and <sonde/test.h>, need the library still.
 */
#ifndef SONDE_DISABLE_H
#define SONDE_DISABLE_H

#include "sonde/sonde.h"

#ifdef SONDE_DISABLE

#    include <string.h>

/* A call inside sizeof is checked, not made. */
#    define SONDE_NOTHING_(call)          ((void)sizeof((call, 0)))
#    define SONDE_NOT_(type, value, call) ((type)(sizeof(call) ? (value) : (value)))

#    undef SONDE_SPAN_WITH
#    define SONDE_SPAN_WITH(var, name, ...)                                                        \
        __attribute__((unused)) sonde_span *const var = sonde_span_enter((name), (__VA_ARGS__))

#    undef SONDE_ATTACH__
#    define SONDE_ATTACH__(context, line)                                                          \
        __attribute__((unused)) sonde_context *const sonde_attached_##line =                       \
            sonde_context_attach(context)

/* clang-format off */
#define sonde_start(...) SONDE_NOT_(sonde_status, SONDE_OK, sonde_start(__VA_ARGS__))
#define sonde_flush(...) SONDE_NOT_(sonde_status, SONDE_ERR_STATE, sonde_flush(__VA_ARGS__))
#define sonde_flush_stats(...) SONDE_NOT_(sonde_status, SONDE_ERR_STATE, sonde_flush_stats(__VA_ARGS__))
#define sonde_wait_for_agent(...) SONDE_NOT_(sonde_status, SONDE_ERR_STATE, sonde_wait_for_agent(__VA_ARGS__))
#define sonde_stop(...) SONDE_NOTHING_(sonde_stop(__VA_ARGS__))
#define sonde_enabled(...) SONDE_NOT_(int, 0, sonde_enabled(__VA_ARGS__))

#define sonde_span_start(...) SONDE_NOT_(sonde_span *, NULL, sonde_span_start(__VA_ARGS__))
#define sonde_span_start_n(...) SONDE_NOT_(sonde_span *, NULL, sonde_span_start_n(__VA_ARGS__))
#define sonde_span_finish(...) SONDE_NOTHING_(sonde_span_finish(__VA_ARGS__))
#define sonde_span_finish_at(...) SONDE_NOTHING_(sonde_span_finish_at(__VA_ARGS__))
#define sonde_span_activate(...) SONDE_NOTHING_(sonde_span_activate(__VA_ARGS__))
#define sonde_span_deactivate(...) SONDE_NOTHING_(sonde_span_deactivate(__VA_ARGS__))
#define sonde_span_current(...) SONDE_NOT_(sonde_span *, NULL, sonde_span_current(__VA_ARGS__))
#define sonde_span_enter(...) SONDE_NOT_(sonde_span *, NULL, sonde_span_enter(__VA_ARGS__))
#define sonde_span_enter_n(...) SONDE_NOT_(sonde_span *, NULL, sonde_span_enter_n(__VA_ARGS__))
#define sonde_span_leave(...) SONDE_NOTHING_(sonde_span_leave(__VA_ARGS__))
#define sonde_span_set_str(...) SONDE_NOTHING_(sonde_span_set_str(__VA_ARGS__))
#define sonde_span_set_int(...) SONDE_NOTHING_(sonde_span_set_int(__VA_ARGS__))
#define sonde_span_set_double(...) SONDE_NOTHING_(sonde_span_set_double(__VA_ARGS__))
#define sonde_span_set_bool(...) SONDE_NOTHING_(sonde_span_set_bool(__VA_ARGS__))
#define sonde_span_remove(...) SONDE_NOTHING_(sonde_span_remove(__VA_ARGS__))
#define sonde_span_set_str_n(...) SONDE_NOTHING_(sonde_span_set_str_n(__VA_ARGS__))
#define sonde_span_set_int_n(...) SONDE_NOTHING_(sonde_span_set_int_n(__VA_ARGS__))
#define sonde_span_set_double_n(...) SONDE_NOTHING_(sonde_span_set_double_n(__VA_ARGS__))
#define sonde_span_set_bool_n(...) SONDE_NOTHING_(sonde_span_set_bool_n(__VA_ARGS__))
#define sonde_span_set_struct(...) SONDE_NOTHING_(sonde_span_set_struct(__VA_ARGS__))
#define sonde_span_set_value(...) SONDE_NOTHING_(sonde_span_set_value(__VA_ARGS__))
#define sonde_span_get_str(...) SONDE_NOT_(int64_t, -1, sonde_span_get_str(__VA_ARGS__))
#define sonde_span_get_double(...) SONDE_NOT_(int, 0, sonde_span_get_double(__VA_ARGS__))
#define sonde_span_set_name(...) SONDE_NOTHING_(sonde_span_set_name(__VA_ARGS__))
#define sonde_span_set_service(...) SONDE_NOTHING_(sonde_span_set_service(__VA_ARGS__))
#define sonde_span_set_resource(...) SONDE_NOTHING_(sonde_span_set_resource(__VA_ARGS__))
#define sonde_span_set_type(...) SONDE_NOTHING_(sonde_span_set_type(__VA_ARGS__))
#define sonde_span_set_name_n(...) SONDE_NOTHING_(sonde_span_set_name_n(__VA_ARGS__))
#define sonde_span_set_service_n(...) SONDE_NOTHING_(sonde_span_set_service_n(__VA_ARGS__))
#define sonde_span_set_resource_n(...) SONDE_NOTHING_(sonde_span_set_resource_n(__VA_ARGS__))
#define sonde_span_set_type_n(...) SONDE_NOTHING_(sonde_span_set_type_n(__VA_ARGS__))
#define sonde_span_error(...) SONDE_NOTHING_(sonde_span_error(__VA_ARGS__))
#define sonde_span_error_n(...) SONDE_NOTHING_(sonde_span_error_n(__VA_ARGS__))
#define sonde_span_clear_error(...) SONDE_NOTHING_(sonde_span_clear_error(__VA_ARGS__))
#define sonde_span_set_error(...) SONDE_NOTHING_(sonde_span_set_error(__VA_ARGS__))
#define sonde_span_set_kind(...) SONDE_NOTHING_(sonde_span_set_kind(__VA_ARGS__))
#define sonde_span_set_measured(...) SONDE_NOTHING_(sonde_span_set_measured(__VA_ARGS__))
#define sonde_span_set_analytics(...) SONDE_NOTHING_(sonde_span_set_analytics(__VA_ARGS__))
#define sonde_span_keep(...) SONDE_NOTHING_(sonde_span_keep(__VA_ARGS__))
#define sonde_span_keep_for(...) SONDE_NOTHING_(sonde_span_keep_for(__VA_ARGS__))
#define sonde_span_drop(...) SONDE_NOTHING_(sonde_span_drop(__VA_ARGS__))
#define sonde_span_id(...) SONDE_NOT_(uint64_t, 0, sonde_span_id(__VA_ARGS__))
#define sonde_span_trace_id_low(...) SONDE_NOT_(uint64_t, 0, sonde_span_trace_id_low(__VA_ARGS__))
#define sonde_span_trace_id_high(...) SONDE_NOT_(uint64_t, 0, sonde_span_trace_id_high(__VA_ARGS__))
#define sonde_span_trace_id_hex(span, out) ((void)sizeof(span), (void)((out)[0] = '\0'))

#define sonde_context_current(...) SONDE_NOT_(sonde_context *, NULL, sonde_context_current(__VA_ARGS__))
#define sonde_context_of_span(...) SONDE_NOT_(sonde_context *, NULL, sonde_context_of_span(__VA_ARGS__))
#define sonde_context_retain(...) SONDE_NOT_(sonde_context *, NULL, sonde_context_retain(__VA_ARGS__))
#define sonde_context_release(...) SONDE_NOTHING_(sonde_context_release(__VA_ARGS__))
#define sonde_context_attach(...) SONDE_NOT_(sonde_context *, NULL, sonde_context_attach(__VA_ARGS__))
#define sonde_context_detach(...) SONDE_NOTHING_(sonde_context_detach(__VA_ARGS__))
#define sonde_context_span_id(...) SONDE_NOT_(uint64_t, 0, sonde_context_span_id(__VA_ARGS__))
#define sonde_context_trace_id_low(...) SONDE_NOT_(uint64_t, 0, sonde_context_trace_id_low(__VA_ARGS__))
#define sonde_context_trace_id_high(...) SONDE_NOT_(uint64_t, 0, sonde_context_trace_id_high(__VA_ARGS__))

#define sonde_inject(...) SONDE_NOTHING_(sonde_inject(__VA_ARGS__))
#define sonde_extract(...) SONDE_NOT_(sonde_context *, NULL, sonde_extract(__VA_ARGS__))

#define sonde_span_set_user(...) SONDE_NOTHING_(sonde_span_set_user(__VA_ARGS__))
#define sonde_http_server_start(...) SONDE_NOT_(sonde_span *, NULL, sonde_http_server_start(__VA_ARGS__))
#define sonde_http_server_finish(...) SONDE_NOTHING_(sonde_http_server_finish(__VA_ARGS__))
#define sonde_http_client_start(...) SONDE_NOT_(sonde_span *, NULL, sonde_http_client_start(__VA_ARGS__))
#define sonde_http_client_finish(...) SONDE_NOTHING_(sonde_http_client_finish(__VA_ARGS__))

#define sonde_span_set_baggage(...) SONDE_NOTHING_(sonde_span_set_baggage(__VA_ARGS__))
#define sonde_span_set_baggage_n(...) SONDE_NOTHING_(sonde_span_set_baggage_n(__VA_ARGS__))
#define sonde_span_remove_baggage(...) SONDE_NOTHING_(sonde_span_remove_baggage(__VA_ARGS__))
#define sonde_span_clear_baggage(...) SONDE_NOTHING_(sonde_span_clear_baggage(__VA_ARGS__))
#define sonde_span_baggage(...) SONDE_NOT_(size_t, 0, sonde_span_baggage(__VA_ARGS__))
#define sonde_context_baggage(...) SONDE_NOT_(size_t, 0, sonde_context_baggage(__VA_ARGS__))
#define sonde_span_each_baggage(...) SONDE_NOTHING_(sonde_span_each_baggage(__VA_ARGS__))
#define sonde_context_each_baggage(...) SONDE_NOTHING_(sonde_context_each_baggage(__VA_ARGS__))
#define sonde_context_with_baggage(...) SONDE_NOT_(sonde_context *, NULL, sonde_context_with_baggage(__VA_ARGS__))

#define sonde_span_add_event(...) SONDE_NOTHING_(sonde_span_add_event(__VA_ARGS__))
#define sonde_span_add_event_at(...) SONDE_NOTHING_(sonde_span_add_event_at(__VA_ARGS__))
#define sonde_span_record_exception(...) SONDE_NOTHING_(sonde_span_record_exception(__VA_ARGS__))

#define sonde_span_add_link(...) SONDE_NOTHING_(sonde_span_add_link(__VA_ARGS__))

#define sonde_log_ids_current(out) ((void)memset((out), 0, sizeof(sonde_log_ids)), 0)
#define sonde_log_ids_of_span(span, out) ((void)sizeof(span), (void)memset((out), 0, sizeof(sonde_log_ids)), 0)
#define sonde_log_text(...) SONDE_NOT_(const char *, "", sonde_log_text(__VA_ARGS__))
#define sonde_log_json(...) SONDE_NOT_(const char *, "", sonde_log_json(__VA_ARGS__))

#define sonde_set_log(...) SONDE_NOTHING_(sonde_set_log(__VA_ARGS__))

#define sonde_counters_read(out) ((void)memset((out), 0, sizeof(sonde_counters)))
#define sonde_drop_name(...) SONDE_NOT_(const char *, "", sonde_drop_name(__VA_ARGS__))

#define sonde_remote_poll(...) SONDE_NOT_(sonde_status, SONDE_ERR_STATE, sonde_remote_poll(__VA_ARGS__))
#define sonde_remote_config_at(...) SONDE_NOT_(sonde_status, SONDE_ERR_NOT_FOUND, sonde_remote_config_at(__VA_ARGS__))

#define sonde_statsd_new(...) SONDE_NOT_(sonde_statsd *, NULL, sonde_statsd_new(__VA_ARGS__))
#define sonde_statsd_free(...) SONDE_NOTHING_(sonde_statsd_free(__VA_ARGS__))
#define sonde_statsd_default(...) SONDE_NOT_(sonde_statsd *, NULL, sonde_statsd_default(__VA_ARGS__))
#define sonde_statsd_count(...) SONDE_NOTHING_(sonde_statsd_count(__VA_ARGS__))
#define sonde_statsd_gauge(...) SONDE_NOTHING_(sonde_statsd_gauge(__VA_ARGS__))
#define sonde_statsd_histogram(...) SONDE_NOTHING_(sonde_statsd_histogram(__VA_ARGS__))
#define sonde_statsd_distribution(...) SONDE_NOTHING_(sonde_statsd_distribution(__VA_ARGS__))
#define sonde_statsd_timing(...) SONDE_NOTHING_(sonde_statsd_timing(__VA_ARGS__))
#define sonde_statsd_set(...) SONDE_NOTHING_(sonde_statsd_set(__VA_ARGS__))
#define sonde_statsd_send(...) SONDE_NOTHING_(sonde_statsd_send(__VA_ARGS__))
#define sonde_statsd_send_event(...) SONDE_NOTHING_(sonde_statsd_send_event(__VA_ARGS__))
#define sonde_statsd_send_check(...) SONDE_NOTHING_(sonde_statsd_send_check(__VA_ARGS__))
#define sonde_statsd_flush(...) SONDE_NOT_(sonde_status, SONDE_ERR_STATE, sonde_statsd_flush(__VA_ARGS__))
#define sonde_statsd_counters_read(s, out) ((void)sizeof(s), (void)memset((out), 0, sizeof(sonde_statsd_counters)))
#define sonde_statsd_drop_name(...) SONDE_NOT_(const char *, "", sonde_statsd_drop_name(__VA_ARGS__))

#define sonde_setting_at(...) SONDE_NOT_(sonde_status, SONDE_ERR_STATE, sonde_setting_at(__VA_ARGS__))
#define sonde_integration_report(...) SONDE_NOT_(sonde_status, SONDE_OK, sonde_integration_report(__VA_ARGS__))
#define sonde_setting_find(...) SONDE_NOT_(sonde_status, SONDE_ERR_STATE, sonde_setting_find(__VA_ARGS__))

#define sonde_version(...) SONDE_NOT_(const char *, "", sonde_version(__VA_ARGS__))

#define sonde_status_str(...) SONDE_NOT_(const char *, "", sonde_status_str(__VA_ARGS__))
#define sonde_status_name(...) SONDE_NOT_(const char *, "", sonde_status_name(__VA_ARGS__))
/* clang-format on */

#endif /* SONDE_DISABLE */
#endif /* SONDE_DISABLE_H */
