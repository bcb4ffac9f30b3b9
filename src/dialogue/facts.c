#define _GNU_SOURCE // memmem
#include "dialogue/facts.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "dialogue/message.h"
#include "dialogue/stems.h"
#include "input/utf8.h"

typedef struct {
    const char *at, *end;
    Bytes string; // of the fact that is being read
} Scanner;

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_space(Scanner *scanner)
{
    while (scanner->at < scanner->end && is_space(*scanner->at) && *scanner->at != '\v')
        scanner->at++;
}

static bool take(Scanner *scanner, char wanted)
{
    if (scanner->at == scanner->end || *scanner->at != wanted)
        return false;
    scanner->at++;
    return true;
}

static int digit_of(char c, int base)
{
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : 16;
    return digit < base ? digit : -1;
}

static void append_code(Bytes *out, uint32_t code)
{
    char bytes[4];
    size_t count = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t heads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = count; i-- > 0; code >>= 6)
        bytes[i] = (char)(i > 0 ? 0x80 | (code & 0x3F) : heads[count] | code);
    bytes_append(out, bytes, count);
}

// The code point of `least` to `most` digits. NUL, surrogates and what lies beyond Unicode are no
// text.
static bool take_code(Scanner *scanner, int base, int least, int most)
{
    uint32_t code = 0;
    int digits = 0;
    for (; digits < most && scanner->at < scanner->end; digits++, scanner->at++) {
        int digit = digit_of(*scanner->at, base);
        if (digit < 0)
            break;
        code = code * (uint32_t)base + (uint32_t)digit;
    }
    if (digits < least || code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return false;
    append_code(&scanner->string, code);
    return true;
}

// Behind a backslash.
static bool take_escape(Scanner *scanner)
{
    static const char names[] = "\\'\"abfnrtv", values[] = "\\'\"\a\b\f\n\r\t\v";
    if (scanner->at == scanner->end)
        return false;
    char c = *scanner->at;
    const char *named = c ? strchr(names, c) : NULL;
    if (digit_of(c, 8) >= 0)
        return take_code(scanner, 8, 1, 3);
    scanner->at++;
    if (named)
        bytes_append(&scanner->string, values + (named - names), 1);
    else if (c == 'x')
        return take_code(scanner, 16, 2, 2);
    else if (c == 'u')
        return take_code(scanner, 16, 4, 4);
    else if (c == 'U')
        return take_code(scanner, 16, 8, 8);
    else if (c == 'N')
        return false;   // names of characters
    else if (c != '\n') // a newline behind a backslash is nothing
        bytes_append(&scanner->string, (char[]){'\\', c}, 2);
    return true;
}

static bool take_string(Scanner *scanner)
{
    char quote = *scanner->at++;
    bytes_clear(&scanner->string);
    bytes_append(&scanner->string, "", 0);
    while (scanner->at < scanner->end && *scanner->at != quote) {
        char c = *scanner->at++;
        if (c == '\n' || c == '\r' || (c == '\\' && !take_escape(scanner)))
            return false;
        if (c != '\\')
            bytes_append(&scanner->string, &c, 1);
    }
    return take(scanner, quote);
}

static bool take_fact(Scanner *scanner, json_t *facts)
{
    if (scanner->at == scanner->end || (*scanner->at != '\'' && *scanner->at != '"') ||
        !take_string(scanner))
        return false;
    const char *start = scanner->string.data, *end = start + scanner->string.length;
    while (start < end && is_space(*start))
        start++;
    while (end > start && is_space(end[-1]))
        end--;
    if (start == end || json_array_size(facts) == FACTS_LIMIT)
        return false;
    json_array_append_new(facts, json_stringn(start, (size_t)(end - start)));
    return true;
}

static bool take_list(Scanner *scanner, json_t *facts)
{
    skip_space(scanner);
    if (!take(scanner, '['))
        return false;
    for (skip_space(scanner); !take(scanner, ']'); skip_space(scanner)) {
        if (!take_fact(scanner, facts))
            return false;
        skip_space(scanner);
        if (!take(scanner, ',')) {
            if (!take(scanner, ']'))
                return false;
            break;
        }
    }
    skip_space(scanner);
    return scanner->at == scanner->end;
}

json_t *facts_parse(const char *text, size_t length)
{
    static const char thought[] = "<think>", thought_end[] = "</think>";
    Scanner scanner = {.at = text, .end = text + length};
    if (length > FACTS_BYTES_LIMIT || utf8_valid_length(text, length) != length ||
        memchr(text, 0, length))
        return NULL;
    skip_space(&scanner);
    size_t left = (size_t)(scanner.end - scanner.at);
    if (left >= sizeof thought - 1 && memcmp(scanner.at, thought, sizeof thought - 1) == 0) {
        const char *end = memmem(scanner.at, left, thought_end, sizeof thought_end - 1);
        if (!end)
            return NULL;
        scanner.at = end + sizeof thought_end - 1;
    }
    json_t *facts = json_array();
    if (!take_list(&scanner, facts)) {
        json_decref(facts);
        facts = NULL;
    }
    bytes_free(&scanner.string);
    return facts;
}

// A fact taken apart; `text` is NULL once it has found its pair.
typedef struct {
    const char *text; // borrowed
    size_t field;     // bytes before the colon
    StemSet stems;    // of the value
} Fact;

static Fact *facts_of(const json_t *list)
{
    size_t count = json_array_size(list);
    Fact *facts = allocate(count, sizeof *facts);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        const char *colon = strchr(text, ':'), *value = colon ? colon + 1 : text;
        facts[i] = (Fact){.text = text, .field = colon ? (size_t)(colon - text) : 0};
        stems_add(&facts[i].stems, value, strlen(value));
    }
    return facts;
}

static void free_facts(Fact *facts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        stems_free(&facts[i].stems);
    release(facts);
}

// From 0 to 1; 2 where the facts are equal.
static double closeness(const Fact *a, const Fact *b)
{
    size_t shared = 0, all = a->stems.count + b->stems.count;
    if (!a->text || !b->text)
        return 0;
    if (strcmp(a->text, b->text) == 0)
        return 2;
    if (a->field != b->field || strncasecmp(a->text, b->text, a->field) != 0)
        return 0;
    for (size_t i = 0; i < a->stems.count; i++)
        shared += stems_hold(&b->stems, a->stems.stems[i]);
    return all > 0 ? 2 * (double)shared / (double)all : 0;
}

// Takes the closest pair out of both lists; false where none is close enough.
static bool take_pair(Fact *a, size_t a_count, Fact *b, size_t b_count)
{
    static const double ENOUGH = 0.5;
    double best = 0;
    size_t best_a = 0, best_b = 0;
    for (size_t i = 0; i < a_count; i++) {
        for (size_t j = 0; j < b_count; j++) {
            double close = closeness(&a[i], &b[j]);
            if (close > best) {
                best = close;
                best_a = i;
                best_b = j;
            }
        }
    }
    if (best < ENOUGH)
        return false;
    a[best_a].text = b[best_b].text = NULL;
    return true;
}

double facts_f1(const json_t *found, const json_t *truth)
{
    size_t found_count = json_array_size(found), truth_count = json_array_size(truth), pairs = 0;
    if (found_count + truth_count == 0)
        return 1;
    Fact *a = facts_of(found), *b = facts_of(truth);
    while (take_pair(a, found_count, b, truth_count))
        pairs++;
    free_facts(a, found_count);
    free_facts(b, truth_count);
    return 2 * (double)pairs / (double)(found_count + truth_count);
}

void facts_question(const json_t *future, Bytes *out)
{
    int64_t count;
    Message *messages = messages_borrow(future, &count);
    for (int64_t i = 0; i < count; i++)
        bytes_print(out, "%s%s: %s", i ? "\n" : "", messages[i].role, messages[i].content);
    release(messages);
}
