#include "reward/judge_rule.h"

#include <string.h>

#include "base/memory.h"

static const double CONTENT_FULL = 0.30, CONTENT_HALF = 0.15, REPEAT_JACCARD = 0.8;

struct RuleJudge {
    StemWeights weights; // owned
};

RuleJudge *rule_judge_make(const SampleSet *training)
{
    RuleJudge *judge = allocate(1, sizeof *judge);
    judge->weights = stem_weights_make(training);
    return judge;
}

RuleJudge *rule_judge_read(const char *path)
{
    StemWeights weights;
    if (stem_weights_read(&weights, path))
        return NULL;
    RuleJudge *judge = allocate(1, sizeof *judge);
    judge->weights = weights;
    return judge;
}

int rule_judge_write(const RuleJudge *judge, const char *path)
{
    return stem_weights_write(&judge->weights, path);
}

void rule_judge_free(RuleJudge *judge)
{
    if (judge)
        stem_weights_free(&judge->weights);
    release(judge);
}

const StemWeights *rule_judge_weights(const RuleJudge *judge)
{
    return &judge->weights;
}

// Bytes of the mark at `text`, 0 where there is none.
static size_t question_mark(const char *text, size_t length)
{
    static const char full_width[] = "\xEF\xBC\x9F";
    if (*text == '?')
        return 1;
    return length >= 3 && memcmp(text, full_width, 3) == 0 ? 3 : 0;
}

static bool is_word_byte(unsigned char c)
{
    return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

// A question sentence says something before its mark: "Really??" is one, "?" is none.
double rule_judge_format(const char *response, size_t length)
{
    int questions = 0;
    bool said = false;
    for (size_t i = 0, size; i < length; i += size) {
        size = question_mark(response + i, length - i);
        if (size) {
            questions += said;
            said = false;
        } else {
            said = said || is_word_byte((unsigned char)response[i]);
            size = 1;
        }
    }
    return questions == 1 ? 1.0 : questions == 2 ? 0.5 : 0.0;
}

double rule_judge_content_of(double overlap)
{
    return overlap >= CONTENT_FULL ? 1.0 : overlap >= CONTENT_HALF ? 0.5 : 0.0;
}

// Whether the question was asked before, in words that are nearly the same.
static bool repeats(const StemSet *question, const Sample *sample, StemSet *scratch)
{
    for (int64_t i = 0; i < sample->message_count; i++) {
        const Message *message = &sample->messages[i];
        if (!message_is_assistant(message))
            continue;
        stems_clear(scratch);
        stems_add(scratch, message->content, strlen(message->content));
        if (stems_jaccard(question, scratch) >= REPEAT_JACCARD)
            return true;
    }
    return false;
}

static double best_overlap(const RuleJudge *judge, const StemSet *question, const Sample *sample,
                           StemSet *scratch)
{
    double best = 0;
    for (int64_t i = 0; i < sample->item_count; i++) {
        stems_clear(scratch);
        stems_add(scratch, sample->items[i], strlen(sample->items[i]));
        double overlap = stem_weights_overlap(&judge->weights, question, scratch);
        best = overlap > best ? overlap : best;
    }
    return best;
}

double rule_judge_content_of_stems(const RuleJudge *judge, const Sample *sample,
                                   const StemSet *question)
{
    StemSet scratch = {0};
    double content = rule_judge_content_of(best_overlap(judge, question, sample, &scratch));
    if (content > 0 && repeats(question, sample, &scratch))
        content = 0;
    stems_free(&scratch);
    return content;
}

double rule_judge_content(const RuleJudge *judge, const Sample *sample, const char *response,
                          size_t length)
{
    StemSet question = {0};
    stems_add(&question, response, length);
    double content = rule_judge_content_of_stems(judge, sample, &question);
    stems_free(&question);
    return content;
}

void rule_judge_grade(const RuleJudge *judge, const Sample *sample, const char *response,
                      size_t length, RewardSettings settings, Grade *out)
{
    if (reward_settle(settings, sample->truth, response, length, out))
        return;
    *out = reward_judged(settings, rule_judge_content(judge, sample, response, length),
                         rule_judge_format(response, length));
}
