// metrics_line.h - a line of metrics.jsonl as base/metrics.h writes it, read fast.
//
// One flat object of numbers and nulls, without blanks and without escapes. Whatever else a line
// may be is left to a parser of all of JSON, which takes twelve times as long: a run of 10,000
// steps has some 700,000 numbers.

#ifndef L2A_FILES_METRICS_LINE_H
#define L2A_FILES_METRICS_LINE_H

#include <stdbool.h>
#include <stddef.h>

enum { METRICS_LINE_NUMBERS = 256 };

typedef struct {
    const char *name; // borrowed from the line, without an end of its own
    size_t length;
    double value; // NaN of a null
    bool whole;   // written without a point and an exponent
} MetricsNumber;

// The numbers of a line that ends in a 0, as a parser of JSON would find them; how many, or -1
// where the line is not of this form (a whole number of more than 15 digits, or more numbers than
// METRICS_LINE_NUMBERS, count as such).
int metrics_line_read(const char *line, size_t length, MetricsNumber numbers[METRICS_LINE_NUMBERS]);

#endif
