// report_scores.c - what a run scored before and after, as tables that need no script.

#include "tools/report_html.h"
#include "tools/report_parts.h"

typedef struct {
    const char *words; // what a reader is told
    double most;       // the best there is
} ScoreText;

static const ScoreText texts[SCORE_COUNT] = {
    [SCORE_CONTINUE_CONTENT] = {"Content where the expert asked on", 1},
    [SCORE_CONTINUE_WIN] = {"Full content where the expert asked on, share", 1},
    [SCORE_CONTINUE_CONTENT_CORRECT] = {"Content where both asked on", 1},
    [SCORE_CONTINUE_WIN_CORRECT] = {"Full content where both asked on, share", 1},
    [SCORE_CONTINUE_DECISION] = {"Right decision where the expert asked on", 1},
    [SCORE_STOP_DECISION] = {"Right decision where the expert stopped", 1},
    [SCORE_TOTAL_DECISION] = {"Right decision", 1},
    [SCORE_TOTAL_FORMAT] = {"Format", 1},
    [SCORE_TOTAL_REWARD] = {"Reward", 4},
};

static void append_tile(const ShowRun *run, ScoreName score, const char *name, Bytes *html)
{
    const ScoreValue *first = &run->evaluations[0].scores.values[score];
    const ScoreValue *last = &run->evaluations[run->evaluation_count - 1].scores.values[score];
    bytes_print(html, "<li><span class=\"tile-name\">%s</span> ", name);
    if (last->n == 0) {
        bytes_append_text(html, "<span class=\"tile-value\">n/a</span></li>\n");
        return;
    }
    if (run->evaluation_count > 1 && first->n > 0)
        bytes_print(html,
                    "<span class=\"tile-before\">%.3f</span> <span aria-hidden=\"true\">"
                    "\xe2\x86\x92</span><span class=\"hidden\">then</span> ",
                    first->value);
    bytes_print(html,
                "<span class=\"tile-value\">%.3f</span> <span class=\"tile-most\">of "
                "%g</span></li>\n",
                last->value, texts[score].most);
}

void report_glance(const ShowRun *run, Bytes *html)
{
    if (run->evaluation_count == 0)
        return;
    bytes_append_text(html, "<ul class=\"tiles\">\n");
    append_tile(run, SCORE_TOTAL_REWARD, "Reward", html);
    append_tile(run, SCORE_TOTAL_DECISION, "Right decision", html);
    append_tile(run, SCORE_CONTINUE_CONTENT, "Content", html);
    append_tile(run, SCORE_TOTAL_FORMAT, "Format", html);
    bytes_append_text(html, "</ul>\n");
}

static void append_cell(const ScoreValue *value, Bytes *html)
{
    if (value->n == 0) {
        bytes_append_text(html, "<td>n/a</td>");
        return;
    }
    bytes_print(html,
                "<td><span class=\"value\">%.3f</span> <span class=\"interval\">%.3f to %.3f</span>"
                "</td>",
                value->value, value->low, value->high);
}

// Intervals of all evaluations, one below the other, from nothing to the best there is.
static void append_picture(const ShowRun *run, ScoreName score, Bytes *html)
{
    int rows = run->evaluation_count;
    bytes_print(html,
                "<td class=\"picture\"><svg viewBox=\"0 0 124 %d\" width=\"124\" height=\"%d\" "
                "aria-hidden=\"true\"><path class=\"rail\" d=\"M2 0V%dM122 0V%d\"/>",
                10 * rows + 4, 10 * rows + 4, 10 * rows + 4, 10 * rows + 4);
    for (int r = 0; r < rows; r++) {
        const ScoreValue *value = &run->evaluations[r].scores.values[score];
        double scale = 120 / texts[score].most;
        if (value->n == 0)
            continue;
        bytes_print(html,
                    "<path class=\"span%s\" d=\"M%.1f %dH%.1f\"/><circle class=\"dot%s\" "
                    "cx=\"%.1f\" cy=\"%d\" r=\"3.2\"/>",
                    r + 1 == rows ? " last" : "", 2 + value->low * scale, 10 * r + 7,
                    2 + value->high * scale, r + 1 == rows ? " last" : "", 2 + value->value * scale,
                    10 * r + 7);
    }
    bytes_append_text(html, "</svg></td>");
}

static void append_scores(const ShowRun *run, Bytes *html)
{
    for (int s = SCORE_COUNT - 1; s >= 0; s--) {
        bytes_print(html, "<tr><th scope=\"row\">%s <code>%s</code></th>", texts[s].words,
                    score_names[s]);
        for (int r = 0; r < run->evaluation_count; r++)
            append_cell(&run->evaluations[r].scores.values[s], html);
        append_picture(run, (ScoreName)s, html);
        bytes_append_text(html, "</tr>\n");
    }
}

static void append_counts(const ShowRun *run, const char *name,
                          int64_t of(const EvaluationResult *), Bytes *html)
{
    bytes_print(html, "<tr><th scope=\"row\">%s</th>", name);
    for (int r = 0; r < run->evaluation_count; r++) {
        bytes_append_text(html, "<td>");
        report_html_count(html, of(&run->evaluations[r]));
        bytes_append_text(html, "</td>");
    }
    bytes_append_text(html, "<td class=\"picture\"></td></tr>\n");
}

static void append_means(const ShowRun *run, const char *name, int digits,
                         double of(const EvaluationResult *), Bytes *html)
{
    bytes_print(html, "<tr><th scope=\"row\">%s</th>", name);
    for (int r = 0; r < run->evaluation_count; r++) {
        double value = of(&run->evaluations[r]);
        if (value > 0)
            bytes_print(html, "<td>%.*f</td>", digits, value);
        else
            bytes_append_text(html, "<td>n/a</td>");
    }
    bytes_append_text(html, "<td class=\"picture\"></td></tr>\n");
}

static double expert_loss(const EvaluationResult *result)
{
    return result->expert_tokens > 0 ? result->expert_loss : 0;
}

static double response_tokens(const EvaluationResult *result)
{
    return result->response_tokens;
}

static int64_t responses(const EvaluationResult *result)
{
    return result->scores.rows;
}

static int64_t left_out(const EvaluationResult *result)
{
    return result->scores.ungraded + result->failures;
}

void report_scores(const ShowRun *run, Bytes *html)
{
    if (run->evaluation_count == 0) {
        bytes_append_text(html, "<p>No evaluation is kept with this run.</p>\n");
        return;
    }
    bytes_append_text(html, "<table class=\"scores\"><thead><tr><th scope=\"col\">score</th>");
    for (int r = 0; r < run->evaluation_count; r++)
        bytes_print(html, "<th scope=\"col\">%s</th>", run->evaluation_names[r]);
    bytes_append_text(html,
                      "<th class=\"picture\" aria-hidden=\"true\">0 to most</th></tr></thead>\n"
                      "<tbody>\n");
    append_scores(run, html);
    bytes_append_text(html, "</tbody>\n<tbody>\n");
    append_counts(run, "Responses", responses, html);
    append_counts(run, "Left out: no grade, or no response", left_out, html);
    append_means(run, "Tokens of a response, mean", 1, response_tokens, html);
    append_means(run, "Loss on the expert's own words", 4, expert_loss, html);
    bytes_append_text(html, "</tbody></table>\n");
}
