#include "input/suggest.h"

#include <string.h>

static char lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t suggest_distance(const char *a, const char *b)
{
    size_t rows = strlen(a), columns = strlen(b);
    if (rows > SUGGEST_WORD_BYTES || columns > SUGGEST_WORD_BYTES)
        return INT64_MAX;
    int64_t table[SUGGEST_WORD_BYTES + 1][SUGGEST_WORD_BYTES + 1];
    for (size_t i = 0; i <= rows; i++)
        table[i][0] = (int64_t)i;
    for (size_t j = 0; j <= columns; j++)
        table[0][j] = (int64_t)j;
    for (size_t i = 1; i <= rows; i++) {
        for (size_t j = 1; j <= columns; j++) {
            char x = lower(a[i - 1]), y = lower(b[j - 1]);
            int64_t best = table[i - 1][j - 1] + (x != y);
            best = smaller(best, smaller(table[i - 1][j], table[i][j - 1]) + 1);
            if (i > 1 && j > 1 && x == lower(b[j - 2]) && y == lower(a[i - 2]))
                best = smaller(best, table[i - 2][j - 2] + 1);
            table[i][j] = best;
        }
    }
    return table[rows][columns];
}

int suggest_is_near(const char *word, int64_t distance)
{
    int64_t allowed = (int64_t)strlen(word) / 3;
    return distance <= (allowed > 1 ? allowed : 1);
}

const char *suggest_nearest(const char *word, const char *const *words)
{
    const char *nearest = NULL;
    int64_t least = INT64_MAX;
    for (; *words; words++) {
        int64_t distance = suggest_distance(word, *words);
        if (distance < least && suggest_is_near(word, distance)) {
            least = distance;
            nearest = *words;
        }
    }
    return nearest;
}
