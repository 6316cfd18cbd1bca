/* disabled.c - uses most of the API; with SONDE_DISABLE nothing of it may be left (test_disable.py). */
#include <sonde/sonde.h>

#ifdef __cplusplus
#    define SPAN_OPTIONS NULL
#else
#    define SPAN_OPTIONS                                                                           \
        &(sonde_span_options)                                                                      \
        {                                                                                          \
            .type = "web", .new_trace = 1                                                          \
        }
#endif

int work(int n);

int work(int n)
{
    SONDE_SPAN_FUNC(span);
    sonde_span_set_int(span, "n", n);
    sonde_span_set_str_n(span, SONDE_STR("k"), SONDE_STR("v"));
    {
        SONDE_SPAN_WITH(child, "child", SPAN_OPTIONS);
        sonde_context *context = sonde_context_current();
        SONDE_ATTACH(context);

        sonde_span_error(child, "E", "m");
        sonde_span_add_event(child, "e", NULL, 0);
        sonde_span_add_link(child, NULL);
        sonde_context_release(context);
        if (sonde_span_id(child) != 0)
            return 1;
    }
    return n + 1;
}

int main(void)
{
    char text[SONDE_LOG_ROOM];
    sonde_counters c;

    if (sonde_start(NULL) != SONDE_OK || sonde_enabled() || sonde_flush(1) == SONDE_OK)
        return 1;
    sonde_counters_read(&c);
    if (c.spans_started != 0 || *sonde_log_text(text, sizeof(text)) != '\0')
        return 1;
    sonde_stop();
    return work(1) == 2 ? 0 : 1;
}
