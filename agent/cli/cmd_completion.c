/* cmd_completion.c - `sonde completion SHELL`: a script by which a shell completes command lines.
 *
 * Made from the tables of options, so that it knows what the commands know; the build installs its output.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const char help[] =
    "Usage: sonde completion SHELL\n"
    "\n"
    "Prints a script by which SHELL (bash, zsh or fish) completes command lines of sonde.\n"
    "Packages install it; to use it without one:\n"
    "\n"
    "  bash  eval \"$(sonde completion bash)\"\n"
    "  zsh   sonde completion zsh > DIR/_sonde, where DIR is in $fpath\n"
    "  fish  sonde completion fish | source\n";

enum { OPT_SHELL };

static const cli_option options[] = {
    [OPT_SHELL] = { 0, "", NULL, "SHELL" },
};

/* What an option's value is; the others' cannot be guessed. */
typedef enum value_kind { VALUE_NONE, VALUE_ANY, VALUE_FILE, VALUE_FOLDER, VALUE_LEVEL } value_kind;

#define LEVELS "error warn info debug trace"
#define SHELLS "bash zsh fish"

static value_kind kind_of(const cli_option *o)
{
    static const struct {
        const char *name;
        value_kind kind;
    } kinds[] = {
        { "config", VALUE_FILE }, { "socket", VALUE_FILE },     { "listen-socket", VALUE_FILE },
        { "output", VALUE_FILE }, { "data-dir", VALUE_FOLDER }, { "log-level", VALUE_LEVEL },
    };

    if (o->fixed)
        return VALUE_NONE;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, o->name) == 0)
            return kinds[i].kind;
    return VALUE_ANY;
}

static bool is_operand(const cli_option *o)
{
    return !*o->name || strcmp(o->name, CLI_COMMAND) == 0;
}

/* Another program and its arguments follow. */
static bool is_program(const command *c, const cli_option *o)
{
    return strcmp(o->name, CLI_COMMAND) == 0 && c != &profile_diff_command;
}

/* `sonde profile diff` comes last: a command in a command. */
static const command *command_at(size_t i)
{
    return i < commands_len ? commands[i] : &profile_diff_command;
}

/* What stands in the place of the operand: a file or program, or one of these words. */
static const char *operand_words(const command *c)
{
    return c == &completion_command ? SHELLS : c == &profile_command ? "diff" : "";
}

static void for_each_command(void (*print)(const command *c, const char *text), const char *text)
{
    for (size_t i = 0; i < commands_len; i++)
        print(commands[i], text);
}

static void print_name(const command *c, const char *text)
{
    (void)printf("%s%s", c->name, text);
}

/* -- bash ------------------------------------------------------------------------------------------- */

/* Whether a command before this one has an option of the name; names mean the same everywhere. */
static bool is_known(size_t before, const char *name)
{
    for (size_t i = 0; i < before; i++)
        for (size_t k = 0; k < command_at(i)->options_len; k++)
            if (strcmp(command_at(i)->options[k].name, name) == 0)
                return true;
    return false;
}

/* The options of any command whose value is of that kind, as a pattern of `case`. */
static void print_pattern(value_kind kind, const char *action)
{
    bool is_first = true;

    for (size_t i = 0; i <= commands_len; i++)
        for (size_t k = 0; k < command_at(i)->options_len; k++) {
            const cli_option *o = &command_at(i)->options[k];

            if (is_operand(o) || kind_of(o) != kind || is_known(i, o->name))
                continue;
            (void)printf("%s--%s", is_first ? "    " : "|", o->name);
            if (o->letter)
                (void)printf("|-%c", o->letter);
            is_first = false;
        }
    (void)printf(") %s ;;\n", action);
}

static void print_bash_command(const command *c, const char *label)
{
    const char *words = c == &help_command ? "$commands" : operand_words(c), *files = "";

    (void)printf("    %s) words=\"%s", *label ? label : c->name, words);
    for (size_t i = 0; i < c->options_len; i++)
        if (!is_operand(&c->options[i]))
            (void)printf(" --%s", c->options[i].name);
        else if (is_program(c, &c->options[i]))
            files = "files=-cf";
        else if (!*words)
            files = "files=-f";
    (void)printf(" --help\" %s ;;\n", files);
}

static void print_bash(void)
{
    (void)puts("# bash completion for sonde(1)\n"
               "_sonde()\n"
               "{\n"
               "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
               "    local words= files=");
    (void)fputs("    local commands=\"", stdout);
    for_each_command(print_name, " ");
    (void)puts("--help --version\"\n"
               "\n"
               "    if (( COMP_CWORD == 1 )); then\n"
               "        COMPREPLY=($(compgen -W \"$commands\" -- \"$cur\"))\n"
               "        return\n"
               "    fi\n"
               "    case $prev in");
    print_pattern(VALUE_FILE, "COMPREPLY=($(compgen -f -- \"$cur\")); return");
    print_pattern(VALUE_FOLDER, "COMPREPLY=($(compgen -d -- \"$cur\")); return");
    print_pattern(VALUE_LEVEL, "COMPREPLY=($(compgen -W \"" LEVELS "\" -- \"$cur\")); return");
    print_pattern(VALUE_ANY, "return");
    (void)puts("    esac\n"
               "    case ${COMP_WORDS[1]} in");
    for_each_command(print_bash_command, "");
    (void)puts("    esac\n"
               "    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in");
    print_bash_command(&profile_diff_command, "\"profile diff\"");
    (void)puts("    esac\n"
               "    COMPREPLY=($(compgen $files -W \"$words\" -- \"$cur\"))\n"
               "}\n"
               "complete -F _sonde sonde");
}

/* -- zsh -------------------------------------------------------------------------------------------- */

static void print_zsh_summary(const command *c, const char *text)
{
    (void)text;
    (void)printf("    '%s:%s'\n", c->name, c->summary);
}

static const char *zsh_action(value_kind kind)
{
    static const char *const actions[] = {
        [VALUE_NONE] = "",
        [VALUE_ANY] = "=:value: ",
        [VALUE_FILE] = "=:file:_files",
        [VALUE_FOLDER] = "=:folder:_files -/",
        [VALUE_LEVEL] = "=:level:(" LEVELS ")",
    };

    return actions[kind];
}

static void print_zsh_arguments(const command *c)
{
    (void)printf("    _arguments");
    for (size_t i = 0; i < c->options_len; i++) {
        const cli_option *o = &c->options[i];
        const char *action = zsh_action(kind_of(o));

        if (is_program(c, o))
            (void)printf(" '*::command:%s'",
                         *operand_words(c) ? "_sonde_diff_or_program" : "_normal");
        else if (c == &profile_diff_command && is_operand(o))
            (void)printf(" '1:before:_files' '2:after:_files'");
        else if (is_operand(o) && *operand_words(c))
            (void)printf(" '1:shell:(%s)'", operand_words(c));
        else if (is_operand(o))
            (void)printf(" '1:file:_files'");
        else
            (void)printf(" '--%s%s'", o->name, action);
        if (o->letter)
            (void)printf(" '-%c%s'", o->letter, *action ? action + 1 : "");
    }
    if (c == &help_command)
        (void)printf(" \"1:command:(${(j: :)${commands%%%%:*}})\"");
    (void)printf(" '--help' '-h'\n");
}

static void print_zsh_command(const command *c, const char *text)
{
    (void)text;
    (void)printf("%s)\n", c->name);
    if (c == &profile_command) {
        (void)puts("    if [[ $words[2] == diff && CURRENT -gt 2 ]]; then\n"
                   "    shift words\n"
                   "    (( CURRENT-- ))");
        print_zsh_arguments(&profile_diff_command);
        (void)puts("    return\n"
                   "    fi");
    }
    print_zsh_arguments(c);
    (void)puts("    ;;");
}

static void print_zsh(void)
{
    (void)puts(
        "#compdef sonde\n"
        "_sonde_diff_or_program()\n"
        "{\n"
        "    if (( CURRENT == 1 )); then\n"
        "        _alternative 'words:comparison:(diff)' 'commands:command:_command_names -e'\n"
        "    else\n"
        "        _normal\n"
        "    fi\n"
        "}\n"
        "local -a commands\n"
        "commands=(");
    for_each_command(print_zsh_summary, "");
    (void)puts(")\n"
               "if (( CURRENT == 2 )); then\n"
               "    _describe command commands\n"
               "    return\n"
               "fi\n"
               "shift words\n"
               "(( CURRENT-- ))\n"
               "case $words[1] in");
    for_each_command(print_zsh_command, "");
    (void)puts("esac");
}

/* -- fish ------------------------------------------------------------------------------------------- */

static const char *fish_action(value_kind kind)
{
    static const char *const actions[] = {
        [VALUE_NONE] = "",
        [VALUE_ANY] = " -x",
        [VALUE_FILE] = " -r -F",
        [VALUE_FOLDER] = " -x -a '(__fish_complete_directories)'",
        [VALUE_LEVEL] = " -x -a '" LEVELS "'",
    };

    return actions[kind];
}

/* `when`: the subcommand that has been seen. */
static void print_fish_options(const command *c, const char *when)
{
    const char *words = operand_words(c);

    for (size_t i = 0; i < c->options_len; i++) {
        const cli_option *o = &c->options[i];

        (void)printf("complete -c sonde -n '%s'", when);
        if (is_program(c, o))
            (void)printf(" -F -a '%s (__fish_complete_command)'", words);
        else if (is_operand(o) && *words)
            (void)printf(" -a '%s'", words);
        else if (is_operand(o))
            (void)printf(" -F");
        else
            (void)printf(" -l %s%s", o->name, fish_action(kind_of(o)));
        if (o->letter)
            (void)printf(" -s %c", o->letter);
        (void)putchar('\n');
    }
}

static void print_fish_command(const command *c, const char *text)
{
    char when[96];

    (void)text;
    (void)printf("complete -c sonde -n __fish_use_subcommand -a %s -d '%s'\n", c->name, c->summary);
    (void)snprintf(when, sizeof(when), "__fish_seen_subcommand_from %s%s", c->name,
                   c == &profile_command ? "; and not __fish_seen_subcommand_from diff" : "");
    print_fish_options(c, when);
}

static void print_fish(void)
{
    (void)puts("# fish completion for sonde(1)\n"
               "complete -c sonde -f\n"
               "complete -c sonde -l help -s h");
    for_each_command(print_fish_command, "");
    print_fish_options(&profile_diff_command,
                       "__fish_seen_subcommand_from profile; and __fish_seen_subcommand_from diff");
    (void)fputs("complete -c sonde -n '__fish_seen_subcommand_from help' -a '", stdout);
    for_each_command(print_name, " ");
    (void)puts("'");
}

static int run(const command *self, int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = { { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish } };
    cli_line line;
    int code;

    if (!cli_parse(self, argc, argv, &line, &code))
        return code;
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
        if (strcmp(line.values[OPT_SHELL], shells[i].name) == 0) {
            shells[i].print();
            return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
        }
    (void)cli_fail(self, "%s: there are scripts for " SHELLS, line.values[OPT_SHELL]);
    return EXIT_USAGE;
}

const command completion_command = { .name = "completion",
                                     .summary = "print what a shell completes command lines with",
                                     .help = help,
                                     CLI_OPTIONS(options),
                                     .run = run };
