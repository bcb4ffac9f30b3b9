#include "tools/show_scores.h"

#include <stdio.h>

#include "tools/show_text.h"

enum { VALUE_COLUMNS = 21 };

ScoresVerdict show_scores_compare(ScoreValue first, ScoreValue value)
{
    if (first.n == 0 || value.n == 0)
        return SCORES_ALIKE;
    if (value.value > first.high && first.value < value.low)
        return SCORES_HIGHER;
    if (value.value < first.low && first.value > value.high)
        return SCORES_LOWER;
    return SCORES_ALIKE;
}

// A cell of a row; the last one ends the line.
static void print_cell(const char *text, bool last, Bytes *out)
{
    int blanks = VALUE_COLUMNS - show_text_columns(text);
    bytes_print(out, "  %s%*s", text, last || blanks < 0 ? 0 : blanks, "");
    bytes_append_text(out, last ? "\n" : "");
}

// Of one session there is no interval.
static bool has_intervals(const EvaluationResult *result)
{
    return result->scores.sessions > 1;
}

static void print_score(const EvaluationResult *before, const EvaluationResult *result, int score,
                        bool last, Bytes *out)
{
    static const char *const marks[] = {" ", "+", "-"};
    ScoreValue first = before->scores.values[score], value = result->scores.values[score];
    char text[80] = "n/a";
    if (!has_intervals(before) || !has_intervals(result))
        first.n = 0;
    if (value.n > 0)
        snprintf(text, sizeof text, "%5.3f%s [%5.3f, %5.3f]", value.value,
                 marks[show_scores_compare(first, value)], value.low, value.high);
    print_cell(text, last, out);
}

static void print_tail(const EvaluationResult *const *results, int count, Bytes *out)
{
    static const char *const names[] = {"expert_loss", "response tokens (mean)", "responses",
                                        "without grade or response"};
    for (int row = 0; row < 4; row++) {
        bytes_print(out, "%-31s", names[row]);
        for (int r = 0; r < count; r++) {
            const EvaluationResult *result = results[r];
            const double values[] = {result->expert_loss, result->response_tokens,
                                     (double)result->scores.rows,
                                     (double)(result->scores.ungraded + result->failures)};
            bool told = row != 0 || result->expert_tokens > 0;
            told = told && (row != 1 || result->response_tokens > 0); // a served policy's are not
            print_cell(told ? show_text_number(values[row]).text : "n/a", r == count - 1, out);
        }
    }
}

void show_scores_print(const char *const *names, const EvaluationResult *const *results, int count,
                       Bytes *out)
{
    bytes_print(out, "%-31s", "metric [95 % interval]");
    for (int r = 0; r < count; r++)
        print_cell(names[r], r == count - 1, out);
    for (int s = 0; s < SCORE_COUNT; s++) {
        bytes_print(out, "%-31s", score_names[s]);
        for (int r = 0; r < count; r++)
            print_score(results[0], results[r], s, r == count - 1, out);
    }
    print_tail(results, count, out);
}
