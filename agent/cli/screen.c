/* screen.c - the alternate page of a terminal, without echo and line editing; Ctrl-C still is a signal. */
#include "screen.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ROWS    24
#define COLUMNS 80

static void put(sonde_str text)
{
    while (text.len) {
        ssize_t n = write(STDOUT_FILENO, text.ptr, text.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        text = sonde_str_sub(text, (size_t)n, text.len);
    }
}

bool screen_open(screen *s)
{
    struct termios raw;

    s->is_open = false;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &s->before) != 0)
        return false;
    raw = s->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    s->is_open = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    if (s->is_open)
        put(SONDE_STR("\033[?1049h\033[?25l"));
    return s->is_open;
}

void screen_close(screen *s)
{
    if (!s->is_open)
        return;
    put(SONDE_STR("\033[?25h\033[?1049l"));
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &s->before);
    s->is_open = false;
}

void screen_size(uint32_t *out_rows, uint32_t *out_columns)
{
    struct winsize w = { 0 };
    bool ok = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row && w.ws_col;

    *out_rows = ok ? w.ws_row : ROWS;
    *out_columns = ok ? w.ws_col : COLUMNS;
}

/* Written over what is there, so that nothing flickers. */
void screen_show(sonde_str page)
{
    put(SONDE_STR("\033[H"));
    put(page);
    put(SONDE_STR("\033[J"));
}

char screen_key(void)
{
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
    char key = 0;

    if (poll(&p, 1, 0) != 1 || read(STDIN_FILENO, &key, 1) != 1)
        return 0;
    return key;
}
