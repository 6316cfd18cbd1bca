/* sonde/span.h - one timed operation of a trace.
 *
 *   {
 *       SONDE_SPAN(span, "order.place");          started, active, finished when the block is left
 *       sonde_span_set_str(span, "order.id", id);
 *   }
 *
 * A sonde_span * is a handle, not an address.  It is used until sonde_span_finish(); a handle used
 * later is recognised, and the call does nothing.
 *
 * Threads   a span is worked on by one thread at a time; handing it to another thread is fine when the
 *           hand-over synchronises (a queue, a mutex, a join).  Different spans of one trace may be
 *           worked on, started and finished by different threads at once.  To start children on another
 *           thread while this one works on the span, hand over a context (<sonde/context.h>).
 * Failure   NULL is a valid, inert span: every function here accepts it and does nothing.  So is what
 *           sonde_span_start() returns when memory is short.  Losses are counted, see
 *           <sonde/counters.h>.
 * Memory    Sonde copies every string it is given before the call returns.  Bytes that are not UTF-8
 *           are replaced by U+FFFD before they are sent.
 * Bounds    a key is cut at 200 bytes, a string value at 25 000, a resource at 5 000, service, name and
 *           type at 100, always between characters (counter tags_truncated).
 * Source    docs/spec/spans.md
 */
#ifndef SONDE_SPAN_H
#define SONDE_SPAN_H

#if defined(SONDE_DISABLE) && !defined(SONDE_SONDE_H)
#    error "with SONDE_DISABLE include <sonde/sonde.h> first"
#endif

#include <stddef.h>
#include <stdint.h>

#include "sonde/export.h"
#include "sonde/str.h"
#include "sonde/value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonde_span sonde_span;
typedef struct sonde_context sonde_context; /* <sonde/context.h> */

/* Options of sonde_span_start().  Zero-initialise: every field then means "default". */
typedef struct sonde_span_options {
    uint32_t struct_bytes; /* sizeof(sonde_span_options); 0: all fields of this header */
    int32_t new_trace;     /* 1: start a trace even though a span is active */
    const char *service;   /* default: the parent's service, else the tracer's */
    const char *resource;  /* default: the name */
    const char *type;      /* "web", "sql", "cache", "worker", ...; default: none */
    int64_t start_unix_ns; /* default (0): now */
    /* default: `context`, else the thread's active span, else a new trace */
    const sonde_span *parent;
    const sonde_context *context; /* e.g. what sonde_extract() returned; borrowed for the call */
} sonde_span_options;

/* Starts a span named `name` (the operation, few values: "http.request").  It does not become active.
 *
 * options   may be NULL.
 * Returns   a span to be given back with sonde_span_finish(); NULL when tracing is off; an inert span
 *           when memory is short (counter dropped.no_memory), whose children are not recorded either.
 * Cost      no allocation, no lock, no system call in steady state; one clock reading. */
SONDE_API sonde_span *sonde_span_start(const char *name, const sonde_span_options *options);
SONDE_API sonde_span *sonde_span_start_n(sonde_str name, const sonde_span_options *options);

/* Ends the span now and takes the handle back.  When it was the last open span of its trace in this
 * process, the trace is queued for sending.  Never blocks. */
SONDE_API void sonde_span_finish(sonde_span *span);

/* The same with a given end; one before the start counts as the start. */
SONDE_API void sonde_span_finish_at(sonde_span *span, int64_t end_unix_ns);

/* -- active span ----------------------------------------------------------------------------------
 *
 * A span that is active on a thread is the parent of what this thread starts next.  Activations nest;
 * ending one out of order removes that one, and the innermost of the others counts.  At most 128 nest;
 * deeper ones are not entered (counter activations_refused).  Finishing a span does not end its
 * activation: what is started then still joins its trace. */

SONDE_API void sonde_span_activate(sonde_span *span);
SONDE_API void
sonde_span_deactivate(sonde_span *span); /* its innermost activation on this thread */

/* The thread's active span, borrowed; NULL when there is none (or a context without a local span). */
SONDE_API sonde_span *sonde_span_current(void);

/* Starts and activates; ends the activation and finishes. */
SONDE_API sonde_span *sonde_span_enter(const char *name, const sonde_span_options *options);
SONDE_API sonde_span *sonde_span_enter_n(sonde_str name, const sonde_span_options *options);
SONDE_API void sonde_span_leave(sonde_span *span);

static inline void sonde_span_leave_scope_(sonde_span **span)
{
    if (*span)
        sonde_span_leave(*span);
}

/* A span for the rest of the block: started as child of the active span and active here, finished when
 * the block is left by any way but longjmp().  SONDE_SPAN_WITH takes options, for instance
 * &(sonde_span_options){ .type = "web", .resource = route }. */
#define SONDE_SPAN(var, name) SONDE_SPAN_WITH(var, name, NULL)
#define SONDE_SPAN_WITH(var, name, ...)                                                            \
    __attribute__((cleanup(sonde_span_leave_scope_), unused)) sonde_span *var =                    \
        sonde_span_enter((name), (__VA_ARGS__))

/* The same, named after the function it stands in. */
#define SONDE_SPAN_FUNC(var) SONDE_SPAN(var, __func__)

/* -- tags -----------------------------------------------------------------------------------------
 *
 * Setting a key again replaces it, whatever its type was.  A NULL or empty key, or a NULL value, is
 * ignored.  The `_n` forms take views, so that text in foreign buffers needs no terminator.  Some keys
 * act instead of being stored: service.name, resource.name, span.name, span.type, error, manual.keep,
 * manual.drop, analytics.event (docs/spec/spans.md, "Special keys"). */

SONDE_API void sonde_span_set_str(sonde_span *span, const char *key, const char *value);
SONDE_API void sonde_span_set_int(sonde_span *span, const char *key, int64_t value);
SONDE_API void sonde_span_set_double(sonde_span *span, const char *key, double value);
SONDE_API void sonde_span_set_bool(sonde_span *span, const char *key, int value);
SONDE_API void sonde_span_remove(sonde_span *span, const char *key);

SONDE_API void sonde_span_set_str_n(sonde_span *span, sonde_str key, sonde_str value);
SONDE_API void sonde_span_set_int_n(sonde_span *span, sonde_str key, int64_t value);
SONDE_API void sonde_span_set_double_n(sonde_span *span, sonde_str key, double value);
SONDE_API void sonde_span_set_bool_n(sonde_span *span, sonde_str key, int value);

/* A value of any type; the items of an array are set under "key.0", "key.1", "key.2.0", ..., eight arrays
 * deep (beyond: counter tags_dropped). */
SONDE_API void sonde_span_set_value(sonde_span *span, const char *key, sonde_value value);

/* A structured value: `bytes` is one complete msgpack document of at most 65 535 bytes, which is copied and sent as
 * it is; NULL or `len` 0 takes the one of that key away.  At most 32 on a span.  Keys are apart from those of tags.
 * What is not a document, too long, too many, or not known to the agent (its /info says span_meta_structs) or
 * the form of payload (v0.5) is left out: counter tags_dropped. */
SONDE_API void sonde_span_set_struct(sonde_span *span, const char *key, const void *bytes,
                                     size_t len);

/* What was set, on a span that is not finished.  get_str writes at most `out_bytes` with a NUL (0 and NULL:
 * only the length is wanted) and returns the length of the whole text, or -1 when the tag is not there;
 * a number is written in decimal.  get_double returns 1 and the number, or 0 when there is none.  Both
 * look through the span's tags: not for hot paths.  Special keys are not found. */
SONDE_API int64_t sonde_span_get_str(const sonde_span *span, const char *key, char *out,
                                     size_t out_bytes);
SONDE_API int sonde_span_get_double(const sonde_span *span, const char *key, double *out);

/* -- what the span is -----------------------------------------------------------------------------
 *
 * Changes what sonde_span_start() was given, until the span is finished.  The service decides under which
 * rate a trace is sampled only until the decision is made, at the latest with the first injection. */

SONDE_API void sonde_span_set_name(sonde_span *span, const char *name);
SONDE_API void sonde_span_set_service(sonde_span *span, const char *service);
SONDE_API void sonde_span_set_resource(sonde_span *span, const char *resource);
SONDE_API void sonde_span_set_type(sonde_span *span, const char *type);

SONDE_API void sonde_span_set_name_n(sonde_span *span, sonde_str name);
SONDE_API void sonde_span_set_service_n(sonde_span *span, sonde_str service);
SONDE_API void sonde_span_set_resource_n(sonde_span *span, sonde_str resource);
SONDE_API void sonde_span_set_type_n(sonde_span *span, sonde_str type);

/* Marks the span as failed: error.type (a class, few values: "payment.refused", "ENOENT") and
 * error.message (for people).  Either may be NULL. */
SONDE_API void sonde_span_error(sonde_span *span, const char *type, const char *message);
SONDE_API void sonde_span_error_n(sonde_span *span, sonde_str type, sonde_str message);
SONDE_API void
sonde_span_clear_error(sonde_span *span); /* removes error.type, .message, .stack too */

/* An error in all its parts.  Zero-initialise; NULL fields stay as they are. */
typedef struct sonde_failure {
    uint32_t struct_bytes; /* sizeof(sonde_failure); 0: all fields of this header */
    /* 1: without `stack`, the calling thread's, if libunwind.so.8 is installed */
    int32_t capture_stack;
    const char *type;
    const char *message;
    const char *stack; /* frames, one a line */
} sonde_failure;

/* Marks the span as failed and sets error.type, error.message and error.stack.  Capturing takes some ten
 * microseconds, the first time milliseconds; not from a signal handler. */
SONDE_API void sonde_span_set_error(sonde_span *span, const sonde_failure *failure);

enum sonde_kind {
    SONDE_KIND_INTERNAL = 1,
    SONDE_KIND_SERVER = 2,
    SONDE_KIND_CLIENT = 3,
    SONDE_KIND_PRODUCER = 4,
    SONDE_KIND_CONSUMER = 5
};

/* The tag span.kind; an unknown number does nothing. */
SONDE_API void sonde_span_set_kind(sonde_span *span, enum sonde_kind kind);

/* Has statistics made of the span though it is not the first of its service (tag _dd.measured); 0 takes
 * that back. */
SONDE_API void sonde_span_set_measured(sonde_span *span, int measured);

/* Share of the span's traces that are kept for analytics, 0 to 1 (tag _dd1.sr.eausr); others do nothing. */
SONDE_API void sonde_span_set_analytics(sonde_span *span, double rate);

/* Decides for the whole trace, at any time, over every other decision. */
SONDE_API void sonde_span_keep(sonde_span *span);
SONDE_API void sonde_span_drop(sonde_span *span);

/* Products beside tracing that may need a trace. */
enum sonde_product {
    SONDE_FOR_APPSEC = 0x02,   /* application security */
    SONDE_FOR_DSM = 0x04,      /* data streams */
    SONDE_FOR_DJM = 0x08,      /* data jobs */
    SONDE_FOR_DBM = 0x10,      /* databases */
    SONDE_FOR_AI_GUARD = 0x20, /* AI guard */
};

/* Keeps the whole trace, as sonde_span_keep() does, because a product needs it, and says so to the services
 * it goes on to (_dd.p.ts).  With DD_APM_TRACING_ENABLED=false nothing but such traces is kept and passed on,
 * so call it before sonde_inject().  Several products add up; any other number does nothing. */
SONDE_API void sonde_span_keep_for(sonde_span *span, enum sonde_product product);

/* -- ids ------------------------------------------------------------------------------------------
 *
 * 0 for NULL and for inert or finished spans. */

SONDE_API uint64_t sonde_span_id(const sonde_span *span);
SONDE_API uint64_t sonde_span_trace_id_low(const sonde_span *span);
SONDE_API uint64_t sonde_span_trace_id_high(const sonde_span *span);

/* 32 lower-case hex digits and a NUL into `out`; an empty text where the id is 0. */
SONDE_API void sonde_span_trace_id_hex(const sonde_span *span, char out[33]);

/* -- the same again, inline ------------------------------------------------------------------------
 *
 * Names and keys are literals nearly always: here the compiler knows how long they are.  And where tracing
 * is off nothing is called. */

extern SONDE_API uint32_t sonde_on_; /* not 0: spans are recorded; the library's to write */

SONDE_INLINE sonde_span *sonde_span_start(const char *name, const sonde_span_options *options)
{
    sonde_str n = { name, name ? __builtin_strlen(name) : 0 };

    if (__atomic_load_n(&sonde_on_, __ATOMIC_RELAXED) == 0)
        return NULL;
    return sonde_span_start_n(n, options);
}

SONDE_INLINE sonde_span *sonde_span_enter(const char *name, const sonde_span_options *options)
{
    sonde_str n = { name, name ? __builtin_strlen(name) : 0 };

    if (__atomic_load_n(&sonde_on_, __ATOMIC_RELAXED) == 0)
        return NULL;
    return sonde_span_enter_n(n, options);
}

SONDE_INLINE void sonde_span_set_str(sonde_span *span, const char *key, const char *value)
{
    sonde_str k = { key, key ? __builtin_strlen(key) : 0 };
    sonde_str v = { value, value ? __builtin_strlen(value) : 0 };

    if (span)
        sonde_span_set_str_n(span, k, v);
}

SONDE_INLINE void sonde_span_set_int(sonde_span *span, const char *key, int64_t value)
{
    sonde_str k = { key, key ? __builtin_strlen(key) : 0 };

    if (span)
        sonde_span_set_int_n(span, k, value);
}

SONDE_INLINE void sonde_span_set_double(sonde_span *span, const char *key, double value)
{
    sonde_str k = { key, key ? __builtin_strlen(key) : 0 };

    if (span)
        sonde_span_set_double_n(span, k, value);
}

SONDE_INLINE void sonde_span_set_bool(sonde_span *span, const char *key, int value)
{
    sonde_str k = { key, key ? __builtin_strlen(key) : 0 };

    if (span)
        sonde_span_set_bool_n(span, k, value);
}

#ifdef __cplusplus
}
#endif
#endif /* SONDE_SPAN_H */
