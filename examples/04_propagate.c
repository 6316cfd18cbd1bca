/* 04_propagate.c - a trace through a carrier: here the headers of a message, as text. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <sonde/sonde.h>

typedef struct message {
    char name[8][32];
    char value[8][600];
    int headers;
} message;

static void add_header(void *user, sonde_str name, sonde_str value)
{
    message *m = (message *)user;

    if (m->headers == 8)
        return;
    (void)snprintf(m->name[m->headers], sizeof(m->name[0]), "%.*s", SONDE_STR_ARG(name));
    (void)snprintf(m->value[m->headers], sizeof(m->value[0]), "%.*s", SONDE_STR_ARG(value));
    m->headers++;
}

static sonde_str find_header(void *user, sonde_str name)
{
    message *m = (message *)user;
    int i;

    for (i = 0; i < m->headers; i++)
        if (strncasecmp(m->name[i], name.ptr, name.len) == 0 && m->name[i][name.len] == '\0')
            return (sonde_str){ m->value[i], strlen(m->value[i]) };
    return (sonde_str){ NULL, 0 };
}

static void send_message(message *m)
{
    SONDE_SPAN(span, "message.send");

    sonde_span_set_str(span, "span.kind", "producer");
    sonde_inject(NULL, &(sonde_writer){ .set = add_header, .user = m }); /* NULL: what is active */
}

static void receive_message(message *m)
{
    sonde_context *from = sonde_extract(&(sonde_reader){ .get = find_header, .user = m });
    SONDE_SPAN_WITH(span, "message.receive", &(sonde_span_options){ .context = from });

    sonde_context_release(from); /* the span has what it needs */
    sonde_span_set_str(span, "span.kind", "consumer");
}

int main(void)
{
    static message m;
    int i;

    sonde_start(NULL);
    send_message(&m);
    for (i = 0; i < m.headers; i++)
        printf("%s: %s\n", m.name[i], m.value[i]);
    receive_message(&m); /* would be another process */
    sonde_stop();
    return 0;
}
