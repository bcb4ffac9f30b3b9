// harmless.h - text of outside origin made fit for a terminal: what one would obey becomes '?'.

#ifndef L2A_BASE_HARMLESS_H
#define L2A_BASE_HARMLESS_H

#include <stddef.h>

// Changes control characters, but for line ends and tabs: those of ASCII, and those that UTF-8
// writes as 0xc2 0x80 to 0xc2 0x9f (two '?').
void harmless_make(char *text, size_t length);

#endif
