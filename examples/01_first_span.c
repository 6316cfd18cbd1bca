/* 01_first_span.c - the shortest program that traces. */
#include <stdio.h>

#include <sonde/sonde.h>

int main(void)
{
    sonde_start(NULL); /* DD_SERVICE, DD_ENV, DD_TRACE_AGENT_URL, ...; never fails the program */
    {
        SONDE_SPAN(span, "greeting");

        sonde_span_set_str(span, "language", "en");
        puts("hello");
    }             /* finished here */
    sonde_stop(); /* sends, with a deadline */
    return 0;
}
