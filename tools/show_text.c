#include "tools/show_text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/harmless.h"
#include "input/utf8.h"

Screen show_text_screen(void)
{
    const char *plain = getenv("NO_COLOR"), *kind = getenv("TERM");
    struct winsize size = {0};
    Screen screen = {.columns = SCREEN_COLUMNS};
    screen.moves = isatty(STDOUT_FILENO) && kind && *kind && strcmp(kind, "dumb") != 0;
    screen.colours = screen.moves && !(plain && *plain);
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        screen.columns = size.ws_col;
    return screen;
}

void show_text_colour(Bytes *out, const Screen *screen, Colour colour, const char *text)
{
    static const char *const codes[COLOUR_COUNT] = {"",         "\033[1m",  "\033[2m", "\033[31m",
                                                    "\033[32m", "\033[33m", "\033[36m"};
    bool coloured = screen->colours && colour != COLOUR_PLAIN;
    bytes_print(out, "%s%s%s", coloured ? codes[colour] : "", text, coloured ? "\033[0m" : "");
}

// A valid, harmless copy, to be freed.
static Bytes harmless_copy(const char *text)
{
    Bytes copy = {0};
    bytes_append(&copy, "", 0);
    utf8_append_repaired(&copy, text, strlen(text));
    harmless_make(copy.data, copy.length);
    return copy;
}

void show_text_line(Bytes *out, const char *text)
{
    Bytes copy = harmless_copy(text);
    for (char *c = copy.data; *c; c++)
        *c = *c == '\n' || *c == '\t' ? '?' : *c;
    bytes_append(out, copy.data, copy.length);
    bytes_free(&copy);
}

void show_text_block(Bytes *out, const char *text, int indent)
{
    Bytes unix_ends = {0};
    bytes_append(&unix_ends, "", 0);
    for (const char *c = text; *c; c++)
        if (c[0] != '\r' || c[1] != '\n')
            bytes_append(&unix_ends, c, 1);
    Bytes copy = harmless_copy(unix_ends.data);
    for (const char *c = copy.data; *c; c++) {
        bytes_append(out, c, 1);
        if (*c == '\n')
            bytes_print(out, "%*s", indent, "");
    }
    bytes_free(&unix_ends);
    bytes_free(&copy);
}

int show_text_flush(Bytes *out)
{
    bool written = out->length == 0 || fwrite(out->data, 1, out->length, stdout) == out->length;
    bytes_clear(out);
    if (written && fflush(stdout) == 0)
        return 0;
    return fail(EXIT_CANNOT_WRITE, "standard output: cannot write: %s", strerror(errno));
}

int show_text_columns(const char *text)
{
    int columns = 0;
    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

// Bytes of the first `columns` code points of a word of `length` bytes.
static size_t fitting(const char *word, size_t length, int columns)
{
    size_t taken = 0;
    for (; taken < length; taken++)
        if (((unsigned char)word[taken] & 0xc0) != 0x80 && columns-- <= 0)
            break;
    return taken;
}

void show_text_wrap(Bytes *out, const char *text, int indent, int columns)
{
    int at = indent, widest = columns - indent > 1 ? columns - indent : 1;
    while (*text) {
        size_t length = fitting(text, strcspn(text, " "), widest);
        Bytes word = {0};
        bytes_append(&word, text, length);
        int wide = show_text_columns(word.data);
        if (at > indent && at + 1 + wide > columns) {
            bytes_print(out, "\n%*s", indent, "");
            at = indent;
        }
        bytes_print(out, "%s%s", at > indent ? " " : "", word.data);
        at += wide + (at > indent);
        text += length + strspn(text + length, " ");
        bytes_free(&word);
    }
    bytes_append_text(out, "\n");
}

Short show_text_number(double value)
{
    Short out;
    double size = fabs(value);
    if (isnan(value))
        snprintf(out.text, sizeof out.text, "-");
    else if (value == 0 || (value == floor(value) && size < 1e7))
        snprintf(out.text, sizeof out.text, "%.0f", value == 0 ? 0 : value); // 0 has no sign
    else if (size >= 0.01 && size < 1e4)
        snprintf(out.text, sizeof out.text, "%.*f", size < 10 ? 3 : size < 100 ? 2 : 1, value);
    else
        snprintf(out.text, sizeof out.text, "%.3g", value);
    return out;
}

Short show_text_time(double seconds)
{
    Short out;
    // What outlasts the universe is no time that anybody waits for.
    bool told = seconds >= 0 && seconds < 1e15;
    long long all = told ? (long long)(seconds + 0.5) : 0;
    if (!told)
        snprintf(out.text, sizeof out.text, "-");
    else if (seconds < 9.95)
        snprintf(out.text, sizeof out.text, "%.1f s", seconds);
    else if (all < 60)
        snprintf(out.text, sizeof out.text, "%lld s", all);
    else if (all < 3600)
        snprintf(out.text, sizeof out.text, "%lld min %lld s", all / 60, all % 60);
    else if (all < 86400)
        snprintf(out.text, sizeof out.text, "%lld h %lld min", all / 3600, all / 60 % 60);
    else
        snprintf(out.text, sizeof out.text, "%lld d %lld h", all / 86400, all / 3600 % 24);
    return out;
}

Short show_text_bytes(int64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    Short out;
    double value = (double)bytes;
    int unit = 0;
    while (value >= 999.5 && unit < 5) {
        value /= 1000;
        unit++;
    }
    snprintf(out.text, sizeof out.text, "%.*f %s",
             unit == 0 || value >= 100 ? 0
             : value < 10              ? 2
                                       : 1,
             value, units[unit]);
    return out;
}
