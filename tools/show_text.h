// show_text.h - text for people: the screen it goes to, foreign text made harmless, short numbers.

#ifndef L2A_TOOLS_SHOW_TEXT_H
#define L2A_TOOLS_SHOW_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"

typedef struct {
    bool moves;   // its cursor can be moved: a terminal, and no dumb one
    bool colours; // unless NO_COLOR is set (no-color.org)
    int columns;
} Screen;

enum { SCREEN_COLUMNS = 100 }; // where nobody says how wide it is

// What standard output is.
Screen show_text_screen(void);

typedef enum {
    COLOUR_PLAIN,
    COLOUR_BOLD,
    COLOUR_DIM,
    COLOUR_RED,
    COLOUR_GREEN,
    COLOUR_YELLOW,
    COLOUR_CYAN,
    COLOUR_COUNT
} Colour;

// Appends `text` (ours, or made harmless before) in a colour, where there are colours.
void show_text_colour(Bytes *out, const Screen *screen, Colour colour, const char *text);

// Appends foreign text in one line: what a terminal would obey, line ends and tabs among it, is
// '?', what is not UTF-8 is U+FFFD.
void show_text_line(Bytes *out, const char *text);

// The same with its lines, each behind `indent` blanks; the first one stands where `out` ends.
void show_text_block(Bytes *out, const char *text, int indent);

// Appends words of ours or made harmless, broken into lines of at most `columns` behind `indent`
// blanks; the first one stands where `out` ends, at column `indent`. Ends in a newline.
void show_text_wrap(Bytes *out, const char *text, int indent, int columns);

// Writes all of it to standard output now, and empties it. EXIT_CANNOT_WRITE.
int show_text_flush(Bytes *out);

// How many columns a text takes, as far as that can be told: its code points.
int show_text_columns(const char *text);

// A short text by value: show_text_number(x).text lives to the end of the expression that it stands
// in.
typedef struct {
    char text[40];
} Short;

Short show_text_number(double value); // four digits: "3.941", "1.2e-05"; "-" of NaN
Short show_text_time(double seconds); // "12 s", "9 min 57 s", "5 h 49 min"; "-" of NaN
Short show_text_bytes(int64_t bytes); // "3.21 MB"; powers of 1000

#endif
