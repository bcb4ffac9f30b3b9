#define _GNU_SOURCE // memfd_create
#include "input/ini_scan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <iniparser/iniparser.h>

#include "input/utf8.h"

enum {
    SHOWN_BYTES = 60,           // of a line that a message quotes
    INIPARSER_TABLES = 1 << 12, // elements of 8 bytes, at least what it begins with
};

typedef struct {
    IniScan *scan;
    const char *name;
    const char *section; // entries go here; NULL: the header was unusable, they are left out
    int64_t line;
    Faults *faults;
} Scanner;

static void add_fault(Scanner *scanner, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_fault(Scanner *scanner, const char *format, ...)
{
    char place[FAULTS_PLACE_BYTES];
    faults_place(place, scanner->name, scanner->line);
    va_list arguments;
    va_start(arguments, format);
    faults_add_list(scanner->faults, place, format, arguments);
    va_end(arguments);
}

static int is_blank(char letter)
{
    return letter == ' ' || letter == '\t';
}

static int is_comment(char letter)
{
    return letter == ';' || letter == '#';
}

static char *skip_blanks(char *text)
{
    while (is_blank(*text))
        text++;
    return text;
}

// Cuts the blanks at the end of [text, end).
static void cut_blanks(const char *text, char *end)
{
    while (end > text && is_blank(end[-1]))
        end--;
    *end = 0;
}

static int64_t line_of(const char *text, size_t offset)
{
    int64_t line = 1;
    for (size_t i = 0; i < offset; i++)
        line += text[i] == '\n';
    return line;
}

// The first bytes show a file that some editors write: name the cure.
static int has_byte_order_mark(Scanner *scanner, const char *text, size_t length)
{
    scanner->line = 1;
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        add_fault(scanner, "the file begins with a byte order mark: save it as UTF-8 without BOM, "
                           "or remove it with sed -i '1s/^\\xEF\\xBB\\xBF//'");
    else if (length >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        add_fault(scanner, "the file is UTF-16: save it as UTF-8");
    else
        return 0;
    return 1;
}

// Whether the text is worth being looked at line by line.
static int is_text(Scanner *scanner, const char *text, size_t length)
{
    if (length > INI_FILE_LIMIT) {
        scanner->line = 0;
        add_fault(scanner, "the file holds more than %d bytes: this is no file of settings",
                  INI_FILE_LIMIT);
        return 0;
    }
    if (has_byte_order_mark(scanner, text, length))
        return 0;
    const char *zero = length ? memchr(text, 0, length) : NULL;
    if (zero) {
        scanner->line = line_of(text, (size_t)(zero - text));
        add_fault(scanner, "a zero byte: this is no text file");
        return 0;
    }
    size_t valid = utf8_valid_length(text, length);
    if (valid < length) {
        scanner->line = line_of(text, valid);
        add_fault(scanner, "byte 0x%02x is not UTF-8: save the file as UTF-8",
                  (unsigned char)text[valid]);
        return 0;
    }
    return 1;
}

// Section and key names: [a-z0-9_]+. iniparser lowers ASCII letters only and splits at colons.
static int is_name(Scanner *scanner, const char *what, const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    const char *wrong = name + length;
    if (*name == 0)
        add_fault(scanner, "the %s has no name", what);
    else if (*wrong == 0)
        return 1;
    else if (*wrong >= 'A' && *wrong <= 'Z')
        add_fault(scanner, "%s '%s': names are written in lower case", what, name);
    else
        add_fault(scanner, "%s '%s': '%.*s' is not allowed, names are made of a-z, 0-9 and _", what,
                  name, (int)utf8_sequence(wrong, strlen(wrong)), wrong);
    return 0;
}

static void add_entry(Scanner *scanner, const char *key, const char *value)
{
    IniScan *scan = scanner->scan;
    grow((void **)&scan->entries, &scan->capacity, (size_t)scan->count + 1, sizeof *scan->entries);
    scan->entries[scan->count++] = (IniEntry){scanner->line, scanner->section, key, value};
}

static void read_section(Scanner *scanner, char *line, char *end)
{
    scanner->section = NULL;
    char *close = strchr(line, ']');
    if (!close) {
        add_fault(scanner, "']' is missing after the name of a section");
        return;
    }
    if (close + 1 != end) {
        add_fault(scanner, "nothing may follow [section] in its line: put a comment on its own");
        return;
    }
    char *name = skip_blanks(line + 1);
    cut_blanks(name, close);
    if (!is_name(scanner, "section", name))
        return;
    scanner->section = name;
    add_entry(scanner, NULL, NULL);
}

// `text` is behind the opening quote. NULL after a fault.
static const char *read_quoted(Scanner *scanner, char *text)
{
    char *close = strchr(text, '"');
    if (!close) {
        add_fault(scanner, "the closing quote is missing");
        return NULL;
    }
    char *rest = skip_blanks(close + 1);
    if (*rest != 0 && !is_comment(*rest)) {
        if (strchr(rest, '"'))
            add_fault(scanner, "a quote inside quotes cannot be written");
        else
            add_fault(scanner, "'%s' follows the closing quote", rest);
        return NULL;
    }
    *close = 0;
    return text;
}

static const char *read_plain(Scanner *scanner, char *text)
{
    char *end = text + strcspn(text, ";#");
    char mark = *end;
    if (mark && end > text && !is_blank(end[-1])) {
        add_fault(
            scanner,
            "'%c' inside a value: put the value in double quotes, or a blank before '%c' if a "
            "comment begins there",
            mark, mark);
        return NULL;
    }
    cut_blanks(text, end);
    if (*text == '\'') {
        add_fault(scanner, "single quotes do not quote: use double quotes, or none");
        return NULL;
    }
    if (strchr(text, '"')) {
        add_fault(scanner, "a quote inside a value: only a whole value can be put in quotes");
        return NULL;
    }
    return text;
}

static void read_entry(Scanner *scanner, char *line)
{
    char *equal = strchr(line, '=');
    if (!equal) {
        size_t shown = strlen(line) < SHOWN_BYTES ? strlen(line) : SHOWN_BYTES;
        add_fault(scanner, "expected 'key = value' or '[section]', found '%.*s'",
                  (int)utf8_valid_length(line, shown), line);
        return;
    }
    char *text = skip_blanks(equal + 1);
    cut_blanks(line, equal);
    if (!is_name(scanner, "key", line))
        return;
    const char *value = *text == '"' ? read_quoted(scanner, text + 1) : read_plain(scanner, text);
    if (scanner->section && *scanner->section == 0)
        add_fault(scanner, "'%s' stands before the first [section]", line);
    else if (value && scanner->section)
        add_entry(scanner, line, value);
}

// Whether [line, end) fits iniparser's buffer and holds nothing that is blank to one reading only.
static int is_plain_line(Scanner *scanner, const char *line, const char *end)
{
    for (const char *c = line; c < end; c++) {
        unsigned char byte = (unsigned char)*c;
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
            add_fault(scanner, "control character 0x%02x: remove it", byte);
            return 0;
        }
    }
    if (end - line <= INI_LINE_LIMIT)
        return 1;
    add_fault(scanner, "the line holds %lld bytes, at most %d are read: shorten it",
              (long long)(end - line), INI_LINE_LIMIT);
    return 0;
}

// `line` ends at `end`, which may be overwritten.
static void read_line(Scanner *scanner, char *line, char *end)
{
    if (end > line && end[-1] == '\r')
        end--;
    if (!is_plain_line(scanner, line, end))
        return;
    cut_blanks(line, end);
    line = skip_blanks(line);
    end = line + strlen(line);
    // Of a comment as well: iniparser would make the next line part of it.
    if (end > line && end[-1] == '\\')
        add_fault(scanner, "a backslash at the end does not join lines: write the value on one "
                           "line, or in double quotes");
    else if (*line == '[')
        read_section(scanner, line, end);
    else if (*line != 0 && !is_comment(*line))
        read_entry(scanner, line);
}

void ini_scan(IniScan *scan, const char *text, size_t length, const char *name, Faults *faults)
{
    *scan = (IniScan){0};
    Scanner scanner = {.scan = scan, .name = name, .section = "", .faults = faults};
    if (!is_text(&scanner, text, length))
        return;
    scan->text = allocate(length + 1, 1);
    if (length > 0)
        memcpy(scan->text, text, length);
    char *line = scan->text;
    for (scanner.line = 1; line < scan->text + length; scanner.line++) {
        char *end = line + strcspn(line, "\n");
        read_line(&scanner, line, end);
        line = end + 1;
    }
}

void ini_scan_free(IniScan *scan)
{
    release(scan->entries);
    release(scan->text);
    *scan = (IniScan){0};
}

static int stay_silent(const char *format, ...)
{
    (void)format;
    return 0;
}

// iniparser reads named files only: give it a name for memory.
static dictionary *load(const char *text, size_t length)
{
    int descriptor = memfd_create("settings", MFD_CLOEXEC);
    if (descriptor < 0)
        return NULL;
    dictionary *loaded = NULL;
    // iniparser writes to its first tables whether or not it got them: so see that there is memory.
    release(allocate(INIPARSER_TABLES + length, 8));
    if (write(descriptor, text, length) == (ssize_t)length) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
        iniparser_set_error_callback(stay_silent);
        errno = 0;
        loaded = iniparser_load(path);
        if (errno == ENOMEM) // it may go on without an entry, which would pass for a difference
            die(EXIT_NO_MEMORY, "out of memory: cannot read %zu bytes of settings", length);
    }
    close(descriptor);
    return loaded;
}

static int is_confirmed(dictionary *loaded, const IniEntry *entry)
{
    char name[2 * INI_LINE_LIMIT + 2];
    if (!entry->key)
        return iniparser_find_entry(loaded, entry->section);
    snprintf(name, sizeof name, "%s:%s", entry->section, entry->key);
    const char *value = iniparser_getstring(loaded, name, NULL);
    return value && strcmp(value, entry->value) == 0;
}

void ini_scan_confirm(const IniScan *scan, const char *text, size_t length, const char *name,
                      Faults *faults)
{
    dictionary *loaded = load(text, length);
    if (!loaded) {
        faults_add(faults, name, "iniparser cannot read the file: is memory or /proc missing?");
        return;
    }
    Scanner scanner = {.name = name, .faults = faults};
    int64_t differences = 0;
    for (int64_t i = 0; i < scan->count; i++) {
        scanner.line = scan->entries[i].line;
        if (is_confirmed(loaded, &scan->entries[i]))
            continue;
        add_fault(&scanner, "the line can be read in two ways: simplify it");
        differences++;
    }
    if (differences == 0 && loaded->n != scan->count)
        faults_add(faults, name, "the file can be read in two ways: simplify it");
    iniparser_freedict(loaded);
}
