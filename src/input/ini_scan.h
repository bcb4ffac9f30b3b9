// ini_scan.h - the strict reading of an .ini text that comes before iniparser's lenient one.
//
// iniparser cuts values at ';' and '#', joins lines that end in a backslash, keeps the last of two
// equal keys, forgets line numbers and crashes on colons in section names. The scan refuses every
// text on which the two readings could differ and keeps the line of each entry for messages.
//
//     [section]            letters a-z, digits, underscores
//     key = value          ; or # after a blank begins a comment
//     key = "a; b # c"     quotes keep blanks, ; and #; no quote inside quotes

#ifndef L2A_INPUT_INI_SCAN_H
#define L2A_INPUT_INI_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "input/faults.h"

enum {
    INI_FILE_LIMIT = 1 << 20, // bytes
    INI_LINE_LIMIT = 1000,    // bytes; iniparser's buffer holds 1024
};

typedef struct {
    int64_t line;        // from 1
    const char *section; // "" before the first section
    const char *key;     // NULL: the line opens the section
    const char *value;   // without quotes
} IniEntry;

typedef struct {
    IniEntry *entries; // owned, in the order of the text
    int64_t count;
    size_t capacity;
    char *text; // owned; the entries point into it
} IniScan;

// Reads `text` [length]; `name` stands in messages. Adds what is wrong to `faults`; the entries
// that could be read are there in any case. Free with ini_scan_free.
void ini_scan(IniScan *scan, const char *text, size_t length, const char *name, Faults *faults);

void ini_scan_free(IniScan *scan);

// Reads `text` with iniparser and compares; adds a fault where the two readings differ. Only for a
// text in which neither a fault nor a name given twice was found.
void ini_scan_confirm(const IniScan *scan, const char *text, size_t length, const char *name,
                      Faults *faults);

#endif
