#include "files/metrics_line.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WHOLE_DIGITS = 15 }; // a double holds them all

static size_t digits_at(const char *text)
{
    size_t count = 0;
    while (text[count] >= '0' && text[count] <= '9')
        count++;
    return count;
}

// Behind the number that stands at `text` as JSON allows it, or NULL.
static const char *take_number(const char *text, MetricsNumber *number)
{
    const char *at = text + (*text == '-');
    size_t digits = digits_at(at);
    if (digits == 0 || (digits > 1 && *at == '0'))
        return NULL;
    at += digits;
    number->whole = *at != '.' && *at != 'e' && *at != 'E';
    if (number->whole && digits > WHOLE_DIGITS)
        return NULL;
    if (*at == '.') {
        digits = digits_at(at + 1);
        at += 1 + digits;
        if (digits == 0)
            return NULL;
    }
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '-' || at[1] == '+');
        digits = digits_at(at);
        at += digits;
        if (digits == 0)
            return NULL;
    }
    number->value = strtod(text, NULL);
    return isinf(number->value) ? NULL : at;
}

static const char *take_value(const char *text, MetricsNumber *number)
{
    if (strncmp(text, "null", 4) != 0)
        return take_number(text, number);
    number->value = NAN;
    number->whole = false;
    return text + 4;
}

// Behind the name that stands at `text` with its quotes, or NULL.
static const char *take_name(const char *text, MetricsNumber *number)
{
    if (*text != '"')
        return NULL;
    const char *at = number->name = text + 1;
    while (*at >= ' ' && *at < 0x7f && *at != '"' && *at != '\\')
        at++;
    number->length = (size_t)(at - number->name);
    return *at == '"' ? at + 1 : NULL;
}

int metrics_line_read(const char *line, size_t length, MetricsNumber numbers[METRICS_LINE_NUMBERS])
{
    const char *at = line, *end = line + length;
    int count = 0;
    if (*at++ != '{')
        return -1;
    while (count < METRICS_LINE_NUMBERS) {
        MetricsNumber *number = &numbers[count++];
        at = take_name(at, number);
        if (!at || *at != ':' || !(at = take_value(at + 1, number)))
            return -1;
        if (*at == '}')
            return at + 1 == end ? count : -1;
        if (*at++ != ',')
            return -1;
    }
    return -1;
}
