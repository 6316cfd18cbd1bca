/* message.c - the JSON of section "To the intake". */
#include "message.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/format.h"
#include "base/hex.h"
#include "base/rng.h"
#include "codec/json_write.h"
#include "codec/telemetry_write.h"

#define SCHEMA      "1.8"
#define HEX_ROOM    20
#define TAGS_ROOM   512
#define SECONDS_LEN 19 /* "2026-11-25T15:04:05" */

/* -- the case --------------------------------------------------------------------------------------- */

static void make_uuid(char out[SONDE_CRASH_UUID_ROOM])
{
    uint64_t hi = (sonde_random_u64() & ~UINT64_C(0xf000)) | 0x4000;
    uint64_t lo = (sonde_random_u64() & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62;
    char hex[32];

    sonde_hex_u64(hi, hex);
    sonde_hex_u64(lo, hex + 16);
    (void)snprintf(out, SONDE_CRASH_UUID_ROOM, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
                   hex + 16, hex + 20);
}

void sonde_crash_case_open(sonde_crash_case *c)
{
    uint32_t i;

    for (i = 0; c->symbols.open && i < c->r.head.frames_len; i++) {
        const sonde_crash_report_module *m = sonde_crash_module_of(&c->r, c->r.frames[i]);

        if (m && !c->objects[m - c->r.modules])
            c->objects[m - c->r.modules] = c->symbols.open(c->symbols.user, c->pid, m);
    }
}

sonde_crash_case *sonde_crash_case_new(const uint8_t *packet, size_t len, pid_t pid,
                                       const sonde_crash_symbols *symbols, bool *out_malformed)
{
    sonde_crash_case *c = sonde_calloc(1, sizeof(*c));

    *out_malformed = false;
    if (!c)
        return NULL;
    c->packet = sonde_malloc(len);
    if (!c->packet) {
        sonde_crash_case_free(c);
        return NULL;
    }
    memcpy(c->packet, packet, len);
    if (!sonde_crash_report_read(&c->r, c->packet, len)) {
        *out_malformed = true;
        sonde_crash_case_free(c);
        return NULL;
    }
    c->symbols = *symbols;
    c->pid = pid;
    sonde_machine_read(&c->machine);
    make_uuid(c->uuid);
    return c;
}

void sonde_crash_case_free(sonde_crash_case *c)
{
    uint32_t i;

    if (!c)
        return;
    for (i = 0; i < SONDE_CRASH_REPORT_MODULES_MAX; i++)
        if (c->objects[i])
            c->symbols.close(c->symbols.user, c->objects[i]);
    sonde_free(c->packet);
    sonde_free(c);
}

void sonde_crash_text(const sonde_crash_report *r, char out[SONDE_CRASH_TEXT_ROOM])
{
    char name[SONDE_CRASH_NAME_ROOM];

    sonde_crash_signal_name(r->crash.signo, name);
    (void)snprintf(out, SONDE_CRASH_TEXT_ROOM, "process terminated by %s (%s)", name,
                   sonde_crash_code_name(r->crash.signo, r->crash.si_code));
}

/* -- frames ----------------------------------------------------------------------------------------- */

/* The functions at an address; 0: not known. */
static size_t resolve(sonde_crash_case *c, const sonde_crash_report_module *m, uint64_t address,
                      sonde_crash_line lines[SONDE_CRASH_LINES_MAX])
{
    void *object = m ? c->objects[m - c->r.modules] : NULL;

    return object ? c->symbols.resolve(c->symbols.user, object, address - m->head.bias, lines) : 0;
}

static void text_line(sonde_buf *b, uint32_t number, uint64_t address,
                      const sonde_crash_report_module *m, const sonde_crash_line *line)
{
    sonde_buf_printf(b, "#%u 0x%016llx", number, (unsigned long long)address);
    if (line)
        sonde_buf_printf(b, " in %.*s", SONDE_STR_ARG(line->name));
    if (line && line->file.len)
        sonde_buf_printf(b, " at %.*s:%u", SONDE_STR_ARG(line->file), line->line);
    if (m && m->path.len)
        sonde_buf_printf(b, " (%.*s+0x%llx)", SONDE_STR_ARG(m->path),
                         (unsigned long long)(address - m->head.bias));
    sonde_buf_append_byte(b, '\n');
}

bool sonde_crash_stack(sonde_crash_case *c, sonde_buf *out)
{
    sonde_crash_line lines[SONDE_CRASH_LINES_MAX];
    uint32_t i;

    for (i = 0; i < c->r.head.frames_len; i++) {
        const sonde_crash_report_module *m = sonde_crash_module_of(&c->r, c->r.frames[i]);
        size_t n = resolve(c, m, c->r.frames[i], lines), k;

        for (k = 0; k < n; k++)
            text_line(out, i, c->r.frames[i], m, &lines[k]);
        if (n == 0)
            text_line(out, i, c->r.frames[i], m, NULL);
    }
    return out->status == SONDE_OK;
}

static void put_hex(sonde_json_writer *w, const char *key, uint64_t value)
{
    char text[HEX_ROOM];

    (void)snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
    sonde_json_put_str(w, key, sonde_str_from(text));
}

static void put_module(sonde_json_writer *w, const sonde_crash_report_module *m, uint64_t address)
{
    char id[2 * SONDE_CRASH_BUILD_ID_MAX];

    put_hex(w, "module_base_address", m->head.bias);
    put_hex(w, "relative_address", address - m->head.bias);
    if (m->path.len)
        sonde_json_put_str(w, "path", m->path);
    if (m->head.build_id_len == 0)
        return;
    sonde_hex_bytes(m->head.build_id, m->head.build_id_len, id);
    sonde_json_put_str(w, "build_id", (sonde_str){ id, 2u * m->head.build_id_len });
    sonde_json_put_str(w, "build_id_type", SONDE_STR("GNU"));
    sonde_json_put_str(w, "file_type", SONDE_STR("ELF"));
}

static void put_line(sonde_json_writer *w, const sonde_crash_line *line)
{
    sonde_json_put_str(w, "function", line->name);
    if (line->system_name.len)
        sonde_json_put_str(w, "mangled_name", line->system_name);
    if (line->file.len)
        sonde_json_put_str(w, "file", line->file);
    if (line->line)
        sonde_json_put_u64(w, "line", line->line);
}

static void put_frame(sonde_json_writer *w, uint64_t address, const sonde_crash_report_module *m,
                      const sonde_crash_line *line)
{
    sonde_json_begin_object(w);
    put_hex(w, "ip", address);
    if (m)
        put_module(w, m, address);
    if (line)
        put_line(w, line);
    sonde_json_end_object(w);
}

static void put_frames(sonde_crash_case *c, sonde_json_writer *w)
{
    sonde_crash_line lines[SONDE_CRASH_LINES_MAX];
    uint32_t i;

    sonde_json_key(w, SONDE_STR("frames"));
    sonde_json_begin_array(w);
    for (i = 0; i < c->r.head.frames_len; i++) {
        const sonde_crash_report_module *m = sonde_crash_module_of(&c->r, c->r.frames[i]);
        size_t n = resolve(c, m, c->r.frames[i], lines), k;

        for (k = 0; k < n; k++)
            put_frame(w, c->r.frames[i], m, &lines[k]);
        if (n == 0)
            put_frame(w, c->r.frames[i], m, NULL);
    }
    sonde_json_end_array(w);
}

/* -- parts ------------------------------------------------------------------------------------------ */

static void put_signal(const sonde_crash_report *r, sonde_json_writer *w, const char *key)
{
    char name[SONDE_CRASH_NAME_ROOM];

    sonde_crash_signal_name(r->crash.signo, name);
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_object(w);
    sonde_json_put_i64(w, "si_signo", r->crash.signo);
    sonde_json_put_str(w, "si_signo_human_readable", sonde_str_from(name));
    sonde_json_put_i64(w, "si_code", r->crash.si_code);
    sonde_json_put_str(w, "si_code_human_readable",
                       sonde_str_from(sonde_crash_code_name(r->crash.signo, r->crash.si_code)));
    put_hex(w, "si_addr", r->crash.address);
    sonde_json_end_object(w);
}

/* Tags have one colon: one in a value becomes '_'. */
static void put_tag(sonde_json_writer *w, const char *key, sonde_str value)
{
    char text[256];
    int len = snprintf(text, sizeof(text), "%s:%.*s", key, SONDE_STR_ARG(value)), i;
    size_t end;

    if (value.len == 0 || len < 0)
        return;
    for (i = (int)strlen(key) + 1; i < len && i < (int)sizeof(text) - 1; i++)
        if (text[i] == ':' || text[i] == ',')
            text[i] = '_';
    end = sonde_utf8_cut(sonde_str_from(text), sizeof(text) - 1);
    sonde_json_str(w, (sonde_str){ text, end });
}

static void put_metadata(const sonde_process_block *p, sonde_json_writer *w)
{
    sonde_json_key(w, SONDE_STR("metadata"));
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "library_name", SONDE_STR("sonde"));
    sonde_json_put_str(w, "library_version", p->tracer_version);
    sonde_json_put_str(w, "family", SONDE_STR("native"));
    sonde_json_key(w, SONDE_STR("tags"));
    sonde_json_begin_array(w);
    put_tag(w, "service", p->service);
    put_tag(w, "env", p->env);
    put_tag(w, "version", p->version);
    put_tag(w, "language", p->language);
    put_tag(w, "runtime_id", p->runtime_id);
    put_tag(w, "library_version", p->tracer_version);
    sonde_json_end_array(w);
    sonde_json_end_object(w);
}

static void put_os(const struct utsname *kernel, sonde_json_writer *w)
{
    sonde_json_key(w, SONDE_STR("os_info"));
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "architecture", sonde_str_from(kernel->machine));
    sonde_json_put_str(w, "bitness", SONDE_STR("64-bit"));
    sonde_json_put_str(w, "os_type", SONDE_STR("Linux"));
    sonde_json_put_str(w, "version", sonde_str_from(kernel->release));
    sonde_json_end_object(w);
}

static void put_error(sonde_crash_case *c, sonde_json_writer *w)
{
    char text[SONDE_CRASH_TEXT_ROOM];

    sonde_crash_text(&c->r, text);
    sonde_json_key(w, SONDE_STR("error"));
    sonde_json_begin_object(w);
    sonde_json_put_bool(w, "is_crash", true);
    sonde_json_put_str(w, "kind", SONDE_STR("UnixSignal"));
    sonde_json_put_str(w, "message", sonde_str_from(text));
    sonde_json_put_str(w, "source_type", SONDE_STR("Crashtracking"));
    if (c->r.thread_name.len)
        sonde_json_put_str(w, "thread_name", c->r.thread_name);
    sonde_json_key(w, SONDE_STR("stack"));
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "format", SONDE_STR("Datadog Crashtracker 1.0"));
    put_frames(c, w);
    sonde_json_put_bool(w, "incomplete", c->r.head.is_incomplete != 0);
    sonde_json_end_object(w);
    sonde_json_end_object(w);
}

static void put_registers(const sonde_crash_report *r, sonde_json_writer *w)
{
    const char *name;
    uint32_t i;

    sonde_json_key(w, SONDE_STR("ucontext"));
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "arch",
                       r->head.arch == SONDE_CRASH_AARCH64 ? SONDE_STR("aarch64")
                                                           : SONDE_STR("x86_64"));
    sonde_json_key(w, SONDE_STR("registers"));
    sonde_json_begin_object(w);
    for (i = 0; i < r->head.regs_len && (name = sonde_crash_register_name(r, i)) != NULL; i++)
        put_hex(w, name, r->regs[i]);
    sonde_json_end_object(w);
    sonde_json_end_object(w);
}

static void put_id(sonde_json_writer *w, sonde_str id, sonde_str thread_name)
{
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "id", id);
    if (thread_name.len)
        sonde_json_put_str(w, "thread_name", thread_name);
    sonde_json_end_object(w);
}

static void put_span_ids(const sonde_crash_report *r, const sonde_crash_open *open,
                         sonde_json_writer *w)
{
    char id[24];
    size_t i;

    sonde_json_key(w, SONDE_STR("span_ids"));
    sonde_json_begin_array(w);
    for (i = 0; open && i < open->spans_len; i++) {
        (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)open->spans[i].low);
        put_id(w, sonde_str_from(id), open->spans[i].thread_name);
    }
    if ((!open || open->spans_len == 0) && r->head.span_id) {
        (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)r->head.span_id);
        put_id(w, sonde_str_from(id), r->thread_name);
    }
    sonde_json_end_array(w);
}

static void put_trace_id(sonde_json_writer *w, const sonde_crash_id *id)
{
    char hex[32];

    sonde_hex_u64(id->high, hex);
    sonde_hex_u64(id->low, hex + 16);
    put_id(w, (sonde_str){ hex, sizeof(hex) }, id->thread_name);
}

static void put_trace_ids(const sonde_crash_report *r, const sonde_crash_open *open,
                          sonde_json_writer *w)
{
    const sonde_crash_id active = { r->head.trace_id_high, r->head.trace_id_low, r->thread_name };
    size_t i;

    sonde_json_key(w, SONDE_STR("trace_ids"));
    sonde_json_begin_array(w);
    for (i = 0; open && i < open->traces_len; i++)
        put_trace_id(w, &open->traces[i]);
    if ((!open || open->traces_len == 0) && (active.low || active.high))
        put_trace_id(w, &active);
    sonde_json_end_array(w);
}

/* To the nanosecond; libc's gmtime_r() takes a lock, which a copy of a crashed process may never get. */
static void put_timestamp(int64_t unix_ns, sonde_json_writer *w)
{
    char text[SONDE_RFC3339_LEN + 8];

    (void)sonde_format_rfc3339(unix_ns, text); /* "2026-11-25T15:04:05.123Z" */
    (void)snprintf(text + SECONDS_LEN, sizeof(text) - SECONDS_LEN, ".%09lldZ",
                   (long long)(unix_ns > 0 ? unix_ns % SONDE_NS_PER_S : 0));
    sonde_json_put_str(w, "timestamp", sonde_str_from(text));
}

static void write_report(sonde_crash_case *c, const sonde_process_block *p,
                         const sonde_crash_open *open, sonde_json_writer *w)
{
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "data_schema_version", SONDE_STR(SCHEMA));
    put_error(c, w);
    sonde_json_put_bool(w, "incomplete", false);
    put_metadata(p, w);
    put_os(&c->machine.kernel, w);
    sonde_json_key(w, SONDE_STR("proc_info"));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "pid", c->r.head.pid);
    sonde_json_put_u64(w, "tid", c->r.head.tid);
    sonde_json_end_object(w);
    put_signal(&c->r, w, "sig_info");
    put_span_ids(&c->r, open, w);
    put_trace_ids(&c->r, open, w);
    put_registers(&c->r, w);
    put_timestamp(c->r.head.unix_ns, w);
    sonde_json_put_str(w, "uuid", sonde_str_from(c->uuid));
    sonde_json_end_object(w);
}

static void write_ping(const sonde_crash_case *c, const sonde_process_block *p,
                       sonde_json_writer *w)
{
    char text[SONDE_CRASH_TEXT_ROOM];

    sonde_crash_text(&c->r, text);
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "crash_uuid", sonde_str_from(c->uuid));
    sonde_json_put_str(w, "kind", SONDE_STR("UnixSignal"));
    sonde_json_put_str(w, "message", sonde_str_from(text));
    sonde_json_put_str(w, "version", SONDE_STR("1.0"));
    put_signal(&c->r, w, "siginfo");
    put_metadata(p, w);
    sonde_json_end_object(w);
}

/* -- the envelope ----------------------------------------------------------------------------------- */

static void tags_of_report(const sonde_crash_case *c, char out[TAGS_ROOM])
{
    const sonde_crash_report *r = &c->r;
    char name[SONDE_CRASH_NAME_ROOM];

    sonde_crash_signal_name(r->crash.signo, name);
    (void)snprintf(out, TAGS_ROOM,
                   "data_schema_version:" SCHEMA ",uuid:%s,is_crash:true,incomplete:false,"
                   "si_signo:%d,si_signo_human_readable:%s,si_code:%d,si_code_human_readable:%s,"
                   "si_addr:0x%llx",
                   c->uuid, r->crash.signo, name, r->crash.si_code,
                   sonde_crash_code_name(r->crash.signo, r->crash.si_code),
                   (unsigned long long)r->crash.address);
}

typedef struct log_entry {
    sonde_str message; /* JSON, as text */
    const char *level;
    const char *tags;
    bool is_crash;
} log_entry;

static bool write_envelope(const sonde_crash_case *c, const sonde_process_block *p,
                           const log_entry *log, unsigned seq, sonde_buf *out)
{
    const sonde_telemetry_head head = {
        .type = "logs",
        .unix_s = c->r.head.unix_ns / SONDE_NS_PER_S,
        .seq = seq,
        .runtime_id = p->runtime_id,
        .service = p->service,
        .env = p->env,
        .version = p->version,
        .tracer_version = p->tracer_version,
        .language = p->language,
        .process_tags = p->process_tags,
        .hostname = sonde_str_from(c->machine.kernel.nodename),
        .machine = &c->machine,
    };
    sonde_json_writer w;

    sonde_json_writer_init(&w, out);
    sonde_telemetry_begin(&w, &head);
    sonde_json_begin_object(&w);
    sonde_json_key(&w, SONDE_STR("logs"));
    sonde_json_begin_array(&w);
    sonde_json_begin_object(&w);
    sonde_json_put_str(&w, "message", log->message);
    sonde_json_put_str(&w, "level", sonde_str_from(log->level));
    sonde_json_put_u64(&w, "count", 1);
    sonde_json_put_str(&w, "tags", sonde_str_from(log->tags));
    sonde_json_put_bool(&w, "is_sensitive", log->is_crash);
    sonde_json_put_bool(&w, "is_crash", log->is_crash);
    sonde_json_put_i64(&w, "tracer_time", head.unix_s);
    sonde_json_end_object(&w);
    sonde_json_end_array(&w);
    sonde_json_end_object(&w);
    sonde_json_end_object(&w);
    return out->status == SONDE_OK;
}

bool sonde_crash_ping(const sonde_crash_case *c, const sonde_process_block *process, sonde_buf *out)
{
    char tags[TAGS_ROOM];
    sonde_json_writer w;
    sonde_buf json;
    bool ok;

    sonde_buf_init(&json, SONDE_CRASH_MESSAGE_MAX_BYTES);
    sonde_json_writer_init(&w, &json);
    write_ping(c, process, &w);
    (void)snprintf(tags, sizeof(tags), "uuid:%s,is_crash_ping:true", c->uuid);
    ok = json.status == SONDE_OK &&
         write_envelope(c, process, &(log_entry){ sonde_buf_str(&json), "DEBUG", tags, false }, 1,
                        out);
    sonde_buf_done(&json);
    return ok;
}

bool sonde_crash_message(sonde_crash_case *c, const sonde_process_block *process,
                         const sonde_crash_open *open, sonde_buf *out)
{
    char tags[TAGS_ROOM];
    sonde_json_writer w;
    sonde_buf json;
    bool ok;

    sonde_buf_init(&json, SONDE_CRASH_MESSAGE_MAX_BYTES);
    sonde_json_writer_init(&w, &json);
    write_report(c, process, open, &w);
    tags_of_report(c, tags);
    ok = json.status == SONDE_OK &&
         write_envelope(c, process, &(log_entry){ sonde_buf_str(&json), "ERROR", tags, true }, 2,
                        out);
    sonde_buf_done(&json);
    return ok;
}
