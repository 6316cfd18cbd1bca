/* config_rows.c - the table itself, in the order of docs/PROFILER-CONFIGURATION.md. */
#include <signal.h>

#include "base/clock.h"

#include "config.h"

#define FIELD(name)  offsetof(sonde_prof__config, name)
#define OPTION(name) offsetof(sonde_prof_options, name)
#define TEXT(number) #number
#define MIB          (1024u * 1024)

/* clang-format off */
const sonde_prof__setting_row sonde_prof__setting_rows[] = {
    /* This one comes first: what is wrong with the others is logged at its level. */
    { .names = { "DD_PROFILING_NATIVE_LIBRARY_LOG_LEVEL", "DD_PROFILING_NATIVE_LOG_LEVEL" }, .type = SONDE_PROF__TYPE_LEVEL,
      .fallback = "error", .field = FIELD(log_level), .key = "log_level", .doc = "trace, debug, info, warn, error or off." },

    { .names = { "DD_PROFILING_ENABLED" }, .type = SONDE_PROF__TYPE_CHOICE, .fallback = "true",
      .choices = "false=0=no=off=f,true=1=yes=on=t,auto", .instead = "true when preloaded, else false", .field = FIELD(enabled), .key = "enable",
      .doc = "Profile this process. auto: from 30 s of life on, once a span has finished." },
    { .names = { "DD_INJECTION_ENABLED" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .field = FIELD(injection),
      .doc = "With `profiler` in it: the same as DD_PROFILING_ENABLED=true, which goes first." },
    { .names = { "DD_SERVICE" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .instead = "the name of the executable", .field = FIELD(service),
      .option = OPTION(service), .key = "service", .doc = "Name of the service." },
    { .names = { "DD_ENV" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .field = FIELD(env), .option = OPTION(env), .key = "environment",
      .doc = "Environment: prod, staging, ..." },
    { .names = { "DD_VERSION" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .field = FIELD(version), .option = OPTION(version),
      .key = "service_version", .doc = "Version of the service." },
    { .names = { "DD_TAGS" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .field = FIELD(tags), .option = OPTION(tags), .key = "tags",
      .doc = "Tags of every profile: key:value,key:value." },
    { .names = { "DD_PROFILING_TAGS" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .field = FIELD(profiling_tags),
      .doc = "More of them, for profiles only." },
    { .names = { "DD_HOSTNAME" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .instead = "the host's", .field = FIELD(hostname),
      .doc = "Name of this host." },
    { .names = { "DD_EXTERNAL_ENV" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .field = FIELD(external_env),
      .doc = "Passed on to the agent, which learns the container from it." },
    { .names = { "DD_EXPERIMENTAL_PROPAGATE_PROCESS_TAGS_ENABLED" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "true", .field = FIELD(process_tags),
      .doc = "Say from which program and folder this process was started." },
    { .names = { "DD_GIT_REPOSITORY_URL" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .field = FIELD(git_repository),
      .doc = "Repository of the source; its user and password are left out." },
    { .names = { "DD_GIT_COMMIT_SHA" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .field = FIELD(git_commit), .doc = "Commit it was built from." },
    { .names = { "DD_PROFILING_RUNTIME_ID" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .instead = "the tracer's, else a random one",
      .field = FIELD(runtime_id), .key = "runtime_id", .doc = "Id of this process." },

    { .names = { "DD_TRACE_AGENT_URL" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .instead = "the next two, /var/run/datadog/apm.socket if it is there, http://localhost:8126",
      .field = FIELD(agent_url), .option = OPTION(agent_url), .key = "url", .doc = "Where the agent is: http://host:port or unix:///path." },
    { .names = { "DD_AGENT_HOST" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "localhost", .field = FIELD(agent_host), .key = "host", .doc = "Its host." },
    { .names = { "DD_TRACE_AGENT_PORT" }, .type = SONDE_PROF__TYPE_INT, .fallback = "8126", .min = 1, .max = 65535, .field = FIELD(agent_port),
      .key = "port", .doc = "Its port." },
    { .names = { "DD_PROFILING_AGENTLESS" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "false", .field = FIELD(agentless), .key = "agentless",
      .doc = "Not to be had here: no TLS enters the profiled process. Profiles go through the agent; one warning." },
    { .names = { "DD_PROFILING_URL" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .field = FIELD(profiling_url),
      .doc = "Send profiles there instead of to the agent (http:// or unix:// only)." },

    { .names = { "SONDE_PROFILING_WIRE" }, .type = SONDE_PROF__TYPE_CHOICE, .fallback = "auto", .choices = "auto,spb,pprof", .field = FIELD(wire),
      .doc = "Send batches to an agent of ours (spb), whole profiles to any (pprof), or ask the agent what it takes." },
    { .names = { "SONDE_PROFILING_BATCH_INTERVAL_MS" }, .type = SONDE_PROF__TYPE_DURATION, .fallback = "10000", .min = 100, .max = 600000,
      .unit_ns = SONDE_NS_PER_MS, .field = FIELD(batch_interval_ns), .doc = "Time between batches." },
    { .names = { "DD_PROFILING_UPLOAD_PERIOD", "DD_PROFILING_UPLOAD_INTERVAL" }, .type = SONDE_PROF__TYPE_DURATION, .fallback = "60", .min = 1, .max = 3600,
      .unit_ns = SONDE_NS_PER_S, .field = FIELD(upload_period_ns), .key = "upload_period", .doc = "Time between profiles. The first is sent after half of it or more, so that many processes do not send at once." },
    { .names = { "DD_PROFILING_UPLOAD_TIMEOUT" }, .type = SONDE_PROF__TYPE_DURATION, .fallback = "10s", .min = 0.1, .max = 600,
      .unit_ns = SONDE_NS_PER_S, .field = FIELD(upload_timeout_ns), .doc = "Longest wait for the agent." },
    { .names = { "DD_PROFILING_API_TIMEOUT_MS" }, .type = SONDE_PROF__TYPE_DURATION, .second = true, .min = 100, .max = 600000,
      .unit_ns = SONDE_NS_PER_MS, .field = FIELD(upload_timeout_ns), .doc = "The same in milliseconds." },
    { .names = { "DD_PROFILING_FLUSH_ON_EXIT" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "true", .field = FIELD(flush_on_exit),
      .doc = "Send the last window at exit, within 2 s." },
    { .names = { "DD_PROFILING_DO_EXPORT" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "true", .field = FIELD(do_export), .key = "do_export",
      .doc = "Off: nothing is sent; files are still written." },
    { .names = { "DD_PROFILING_OUTPUT_PPROF" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .field = FIELD(output_pprof), .option = OPTION(output_pprof),
      .doc = "Write profiles to PREFIX.PID.SEQ too; with batches to an agent of ours each batch is one." },
    { .names = { "DD_PROFILING_OUTPUT_DIR" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .field = FIELD(output_dir),
      .doc = "The same to a directory for each: DIR/PID.SEQ/ with profile.pprof and event.json." },
    { .names = { "DD_PROFILING_PPROF_PREFIX" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .field = FIELD(pprof_prefix), .key = "debug_pprof_prefix",
      .doc = "The same to PREFIX and the time: YYYYMMDDTHHMMSSZ.pprof.gz." },
    { .names = { "DD_PROFILING_DEBUG_COMPRESSION_SETTINGS" }, .type = SONDE_PROF__TYPE_CHOICE, .fallback = "gzip",
      .choices = "none,gzip=zstd=gzip-1=gzip-2=gzip-3=gzip-4=gzip-5=gzip-6=gzip-7=gzip-8=gzip-9=zstd-1=zstd-2=zstd-3=zstd-4",
      .field = FIELD(compression), .doc = "none, or gzip. zstd and levels are understood and mean gzip: no compressor enters the profiled process." },

    { .names = { "DD_PROFILING_CPU_ENABLED" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "true", .field = FIELD(cpu), .option = OPTION(cpu), .doc = "CPU samples." },
    { .names = { "DD_PROFILING_WALLTIME_ENABLED" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "true", .field = FIELD(wall), .option = OPTION(wall), .doc = "Wall clock samples." },
    { .names = { "DD_PROFILING_ALLOCATION_ENABLED" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "true", .field = FIELD(alloc), .option = OPTION(alloc), .doc = "Allocation samples." },
    { .names = { "DD_PROFILING_HEAP_ENABLED", "DD_HEAP_SAMPLING_ENABLED" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "true", .field = FIELD(heap), .option = OPTION(heap), .doc = "The live heap, of the same samples." },
    { .names = { "DD_PROFILING_LOCK_ENABLED" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "true", .field = FIELD(lock), .option = OPTION(lock), .doc = "Samples of waits for locks." },
    { .names = { "SONDE_PROFILING_LOCK_KINDS" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "mutex,rwlock,sem", .field = FIELD(lock_kinds_told),
      .doc = "Which locks, of mutex, rwlock, sem, spin and cond. With spin each lock is tried first; a wait for a condition is mostly a thread without work." },
    { .names = { "SONDE_PROFILING_IO_ENABLED" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "false", .field = FIELD(io), .option = OPTION(io), .doc = "Samples of blocking I/O." },
    { .names = { "DD_PROFILING_EXCEPTION_ENABLED" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "false", .field = FIELD(exception), .option = OPTION(exception), .doc = "Samples of C++ exceptions." },
    { .names = { "DD_PROFILING_NATIVE_PRESET" }, .type = SONDE_PROF__TYPE_CHOICE, .fallback = "", .choices = "default,default-pid,cpu_only,alloc_only,alloc_live_heap,cpu_live_heap",
      .field = FIELD(preset), .key = "preset", .doc = "ddprof's names for what to sample; the variables above go first." },
    { .names = { "DD_PROFILING_NATIVE_EVENTS" }, .type = SONDE_PROF__TYPE_TEXT, .fallback = "", .field = FIELD(events), .key = "event",
      .doc = "ddprof's list of events: sCPU and sALLOC with period, frequency and mode are understood; the rest is warned of." },
    { .names = { "SONDE_PROFILING_CPU_FREQUENCY" }, .type = SONDE_PROF__TYPE_NUMBER, .fallback = "99", .clamp = true, .min = 1, .max = 10000,
      .field = FIELD(cpu_frequency), .option = OPTION(cpu_frequency), .doc = "CPU samples for a second of CPU time; above 1000 with perf events only." },
    { .names = { "SONDE_PROFILING_CPU_ENGINE" }, .type = SONDE_PROF__TYPE_CHOICE, .fallback = "timer", .choices = "timer,perf,itimer", .field = FIELD(cpu_engine),
      .doc = "What interrupts threads: a timer of each; or, if the kernel lets us, a perf event of each, which is not bound to the scheduler's tick and sees the kernel's frames. itimer is accepted, and means timer." },
    { .names = { "SONDE_PROFILING_WALL_INTERVAL_MS" }, .type = SONDE_PROF__TYPE_DURATION, .fallback = "50", .min = 1, .max = 60000, .unit_ns = SONDE_NS_PER_MS,
      .field = FIELD(wall_interval_ns), .doc = "Time between looks at all threads." },
    { .names = { "SONDE_PROFILING_WALL_THREADS_PER_TICK" }, .type = SONDE_PROF__TYPE_INT, .fallback = "16", .clamp = true, .min = 1, .max = 1024,
      .field = FIELD(wall_threads), .doc = "Threads looked at each time; chosen by chance, and weighted." },
    { .names = { "SONDE_PROFILING_WALL_ENGINE" }, .type = SONDE_PROF__TYPE_CHOICE, .fallback = "auto", .choices = "auto,signal,nosignal", .field = FIELD(wall_engine),
      .doc = "auto: threads that run answer when their CPU clock signals, and none is signalled for it; signal: every thread is." },
    { .names = { "SONDE_PROFILING_SIGNAL" }, .type = SONDE_PROF__TYPE_INT, .fallback = "27", .min = 1, .max = 64, .field = FIELD(signal),
      .doc = "Number of the signal of both samplers; 27 is SIGPROF." },
    { .names = { "DD_PROFILING_HEAP_SAMPLE_SIZE" }, .type = SONDE_PROF__TYPE_BYTES, .fallback = "524288", .clamp = true, .min = 65536, .max = 1073741824.0,
      .field = FIELD(heap_sample_bytes), .doc = "Bytes between sampled allocations, on average." },
    { .names = { "SONDE_PROFILING_LIVE_HEAP_MAX_ENTRIES" }, .type = SONDE_PROF__TYPE_INT, .fallback = "262144", .clamp = true, .min = 1024, .max = 4194304,
      .field = FIELD(live_max), .doc = "Sampled allocations that are followed until they are freed." },
    { .names = { "SONDE_PROFILING_LOCK_INTERVAL_US" }, .type = SONDE_PROF__TYPE_DURATION, .fallback = "1000", .min = 1, .max = 1e9, .unit_ns = SONDE_NS_PER_US,
      .field = FIELD(lock_interval_ns), .doc = "Waited time between sampled waits, on average." },
    { .names = { "SONDE_PROFILING_IO_INTERVAL_US" }, .type = SONDE_PROF__TYPE_DURATION, .fallback = "1000", .min = 1, .max = 1e9, .unit_ns = SONDE_NS_PER_US,
      .field = FIELD(io_interval_ns), .doc = "The same for I/O." },
    { .names = { "DD_PROFILING_MAX_FRAMES" }, .type = SONDE_PROF__TYPE_INT, .fallback = "512", .clamp = true, .min = 1, .max = 598, .field = FIELD(max_frames),
      .doc = "Frames of a stack; 512 are walked at most." },
    { .names = { "DD_PROFILING_TIMELINE_ENABLED", "DD_PROFILING_TIMELINE_ENABLE" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "true", .field = FIELD(timeline),
      .option = OPTION(timeline), .key = "timeline", .doc = "Send the time of each sample; off: sums of a window." },
    { .names = { "DD_PROFILING_CODE_HOTSPOTS_COLLECTION_ENABLED" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "true", .field = FIELD(hotspots),
      .doc = "Put the ids of the active span on samples." },
    { .names = { "DD_PROFILING_ENDPOINT_COLLECTION_ENABLED" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "true", .field = FIELD(endpoints),
      .doc = "Put the resource of the request's first span on samples." },
    { .names = { "DD_PROFILING_ENDPOINT_COUNT_ENABLED" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "true", .field = FIELD(endpoint_counts),
      .doc = "Count finished requests by resource." },

    { .names = { "SONDE_PROFILING_MAX_OVERHEAD", "DD_PROFILING_STACK_ADAPTIVE_SAMPLING_TARGET_OVERHEAD" }, .type = SONDE_PROF__TYPE_NUMBER, .fallback = "1", .clamp = true,
      .min = 0.01, .max = 100, .field = FIELD(max_overhead), .doc = "Percent of the process's CPU time that samplers may use; then they sample less." },
    { .names = { "SONDE_PROFILING_MEMORY_LIMIT_MB" }, .type = SONDE_PROF__TYPE_BYTES, .fallback = "48", .clamp = true, .min = 8, .max = 65536, .unit_ns = MIB,
      .field = FIELD(memory_bytes), .option = OPTION(memory_bytes), .doc = "Ceiling of the profiler's memory, in MiB; a text such as 64MiB says its unit." },
    { .names = { "DD_PROFILING_NATIVE_ALLOCATION_PROFILING_FOLLOW_EXECS" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "true", .field = FIELD(follow_execs),
      .doc = "Off: programs this one executes are not preloaded; it is taken out of LD_PRELOAD before the program begins." },
    { .names = { "DD_CRASHTRACKING_ENABLED" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "false", .field = FIELD(crash),
      .doc = "Report fatal signals, also when profiling is off." },
    { .names = { "SONDE_PROFILING_CRASH_GUARD" }, .type = SONDE_PROF__TYPE_CHOICE, .fallback = "auto", .choices = "false=0=no=off=f,true=1=yes=on=t,auto",
      .field = FIELD(crash_guard), .doc = "After a crash within 10 s of its start a program is profiled CPU only the next time, after another one not at all for an hour. auto: where fatal signals are reported; true: they are watched for this alone." },
    { .names = { "DD_PROFILING_SHOW_CONFIG" }, .type = SONDE_PROF__TYPE_BOOL, .fallback = "false", .field = FIELD(show_config), .key = "show_config",
      .doc = "Log what is in force at the start." },
};
/* clang-format on */

const size_t sonde_prof__setting_rows_len =
    sizeof(sonde_prof__setting_rows) / sizeof(sonde_prof__setting_rows[0]);

_Static_assert(sizeof(sonde_prof__setting_rows) / sizeof(sonde_prof__setting_rows[0]) <=
                   SONDE_PROF__ROWS_OF_CONFIG_MAX,
               "one origin for each");
_Static_assert(SIGPROF == 27, "the default above");
