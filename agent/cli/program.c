/* program.c - which file, whether the dynamic loader will preload into it, and with which environment. */
#include "program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"

#define HEADERS_MAX     64
#define INTERPRETER_MAX 256 /* of a script's first line, and of a program's loader */
#define SCRIPTS_MAX     4   /* one may be another's interpreter */

/* ---- which file ---- */

static bool is_program(const char *path)
{
    struct stat s;

    if (stat(path, &s) != 0 || access(path, X_OK) != 0)
        return false;
    if (S_ISREG(s.st_mode))
        return true;
    errno = EACCES;
    return false;
}

bool program_find(const char *name, char out[PATH_MAX])
{
    sonde_str list = sonde_str_from(getenv("PATH"));
    int why = ENOENT;

    if (strchr(name, '/')) {
        (void)snprintf(out, PATH_MAX, "%s", name);
        return is_program(out);
    }
    if (!list.len)
        list = SONDE_STR("/usr/local/bin:/usr/bin:/bin");
    while (list.len) {
        sonde_str folder = sonde_str_cut(&list, ':');

        (void)snprintf(out, PATH_MAX, "%.*s%s%s", SONDE_STR_ARG(folder), folder.len ? "/" : "./",
                       name);
        if (is_program(out))
            return true;
        if (errno == EACCES)
            why = EACCES;
    }
    errno = why;
    return false;
}

/* ---- what speaks against it ---- */

#define SECURE                                                                                     \
    "it runs with other rights than the user's (set-user-ID, set-group-ID or capabilities): the "  \
    "system preloads nothing into it"

static bool has_rights_of_its_own(int fd, const struct stat *s)
{
    return ((s->st_mode & S_ISUID) && s->st_uid != geteuid()) ||
           ((s->st_mode & S_ISGID) && s->st_gid != getegid()) ||
           fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

/* Of a 64-bit ELF file: its program header of that type. */
static bool find_header(int fd, const Elf64_Ehdr *e, uint32_t type, Elf64_Phdr *out)
{
    for (size_t i = 0; i < e->e_phnum && i < HEADERS_MAX; i++) {
        off_t at = (off_t)(e->e_phoff + i * sizeof(*out));

        if (pread(fd, out, sizeof(*out), at) != (ssize_t)sizeof(*out))
            return false;
        if (out->p_type == type)
            return true;
    }
    return false;
}

static const char *obstacle_in_elf(int fd)
{
    char loader[INTERPRETER_MAX] = "";
    Elf64_Ehdr e;
    Elf64_Phdr p;

    if (pread(fd, &e, sizeof(e), 0) != (ssize_t)sizeof(e))
        return "it is no whole program";
    if (e.e_ident[EI_CLASS] != ELFCLASS64)
        return "it is a 32-bit program, and there is no profiler for those";
    if (e.e_phentsize != sizeof(p))
        return "it is no whole program";
    if (!find_header(fd, &e, PT_INTERP, &p))
        return "it is linked statically: nothing can be preloaded into it. Link it against "
               "libsonde-profiler.so and call sonde_prof_start() instead";
    if (p.p_filesz < sizeof(loader) &&
        pread(fd, loader, (size_t)p.p_filesz, (off_t)p.p_offset) == (ssize_t)p.p_filesz &&
        strstr(loader, "ld-musl-"))
        return "it needs musl, and the profiler here was built for glibc";
    return NULL;
}

/* The interpreter of a script; false: it is none. */
static bool read_script(int fd, char out[INTERPRETER_MAX])
{
    char line[INTERPRETER_MAX] = "";
    size_t from, len;

    if (pread(fd, line, sizeof(line) - 1, 0) < 3 || memcmp(line, "#!", 2) != 0)
        return false;
    from = 2 + strspn(line + 2, " \t");
    len = strcspn(line + from, " \t\r\n");
    memcpy(out, line + from, len);
    out[len] = '\0';
    return len > 0;
}

static const char *obstacle_of(int fd, char interpreter[INTERPRETER_MAX])
{
    char magic[SELFMAG] = "";
    struct stat s;

    if (fstat(fd, &s) == 0 && has_rights_of_its_own(fd, &s))
        return SECURE;
    if (pread(fd, magic, sizeof(magic), 0) == SELFMAG && memcmp(magic, ELFMAG, SELFMAG) == 0)
        return obstacle_in_elf(fd);
    if (!read_script(fd, interpreter))
        (void)snprintf(interpreter, INTERPRETER_MAX, "/bin/sh"); /* as execvp() does it */
    return NULL;
}

const char *program_obstacle(const char *path)
{
    char next[INTERPRETER_MAX] = "";
    const char *why = NULL;

    for (unsigned i = 0; i < SCRIPTS_MAX; i++) {
        int fd = open(i ? next : path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
            return NULL; /* may be run, but not read */
        next[0] = '\0';
        why = obstacle_of(fd, next);
        (void)close(fd);
        if (why || !next[0])
            break;
    }
    return why;
}

/* ---- the library ---- */

bool program_find_profiler(char out[PATH_MAX])
{
    static const char *const beside[] = { "../lib/", "", "../" SONDE_LIBDIR "/", "../lib64/" };
    char self[PATH_MAX] = "";
    char *slash;

    if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0)
        return false;
    slash = strrchr(self, '/');
    if (!slash)
        return false;
    slash[1] = '\0';
    for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
        char path[PATH_MAX];

        if (snprintf(path, sizeof(path), "%s%s%s", self, beside[i], PROFILER_LIBRARY) >=
            (int)sizeof(path))
            continue;
        if (realpath(path, out) && access(out, R_OK) == 0)
            return true;
    }
    return realpath(SONDE_FULL_LIBDIR "/" PROFILER_LIBRARY, out) && access(out, R_OK) == 0;
}

/* ---- the environment ---- */

sonde_status environment_open(environment *e)
{
    size_t len = 0;

    while (environ && environ[len])
        len++;
    e->all = sonde_calloc(len + 1, sizeof(*e->all));
    e->len = len;
    if (!e->all)
        return SONDE_ERR_NOMEM;
    if (len)
        memcpy(e->all, environ, len * sizeof(*e->all));
    return SONDE_OK;
}

static bool is_inherited(const char *text)
{
    for (size_t i = 0; environ && environ[i]; i++)
        if (environ[i] == text)
            return true;
    return false;
}

void environment_done(environment *e)
{
    for (size_t i = 0; e->all && i < e->len; i++)
        if (!is_inherited(e->all[i]))
            sonde_free(e->all[i]);
    sonde_free(e->all);
    e->all = NULL;
}

static size_t index_of(const environment *e, const char *name)
{
    size_t i, len = strlen(name);

    for (i = 0; i < e->len; i++)
        if (strncmp(e->all[i], name, len) == 0 && e->all[i][len] == '=')
            break;
    return i;
}

sonde_status environment_set(environment *e, const char *name, const char *value)
{
    size_t i = index_of(e, name), bytes = strlen(name) + strlen(value) + 2;
    char *text = sonde_malloc(bytes);
    char **all = i == e->len ? sonde_realloc(e->all, (e->len + 2) * sizeof(*all)) : e->all;

    if (all)
        e->all = all;
    if (!text || !all) {
        sonde_free(text);
        return SONDE_ERR_NOMEM;
    }
    (void)snprintf(text, bytes, "%s=%s", name, value);
    if (i == e->len)
        e->all[++e->len] = NULL;
    else if (!is_inherited(e->all[i]))
        sonde_free(e->all[i]);
    e->all[i] = text;
    return SONDE_OK;
}

sonde_status environment_preload(environment *e, const char *library)
{
    size_t i = index_of(e, "LD_PRELOAD");
    const char *before = i < e->len ? e->all[i] + sizeof("LD_PRELOAD=") - 1 : "";
    size_t bytes = strlen(library) + strlen(before) + 2;
    char *both = sonde_malloc(bytes);
    sonde_status status;

    if (!both)
        return SONDE_ERR_NOMEM;
    (void)snprintf(both, bytes, "%s%s%s", library, *before ? ":" : "", before);
    status = environment_set(e, "LD_PRELOAD", both);
    sonde_free(both);
    return status;
}
