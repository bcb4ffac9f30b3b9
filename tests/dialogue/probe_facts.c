// probe_facts.c - facts_parse for facts_python.py: a line of hexadecimal digits in, a line of JSON
// out.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dialogue/facts.h"

int main(void)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, stdin)) > 0) {
        size_t count = strspn(line, "0123456789abcdef") / 2;
        for (size_t i = 0; i < count; i++) {
            unsigned value;
            sscanf(line + 2 * i, "%2x", &value);
            line[i] = (char)value;
        }
        json_t *facts = facts_parse(line, count);
        char *text = json_dumps(facts, JSON_COMPACT);
        puts(text ? text : "null");
        free(text);
        json_decref(facts);
    }
    free(line);
    return 0;
}
