// verdict.h - what a language model is asked about a question, and the two scores that it answers
// (section 7.1).
//
// Nothing in a transcript can pass for more than text: line breaks inside a message become blanks,
// so that no message can begin a line "doctor: ", and a "<" becomes U+2039, so that no message
// holds a tag.

#ifndef L2A_REWARD_VERDICT_H
#define L2A_REWARD_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"
#include "dialogue/samples.h"

typedef struct {
    double content, format;
} Verdict;

// The scores of a judge's reply: what stands between <think> and </think> is passed over, then the
// last <format_score> and the last <content_score> must each hold a number, and nothing else, that
// is 0, 0.5 or 1. With `lenient` (the reference) a missing or broken score is 0 and any finite
// number passes.
bool verdict_parse(const char *text, size_t length, bool lenient, Verdict *verdict);

// Appends the two messages that ask about a response to a sample: the prompt with the sample's
// info_truth ("None." where empty) in place of {info_truth}, and the transcript, patient and
// doctor, with the response as the doctor's last line. Messages of other roles are left out.
void verdict_question(const char *prompt, const Sample *sample, const char *response, size_t length,
                      Bytes *system, Bytes *user);

// Refuses (EXIT_BAD_SETTINGS) a prompt, read from `path`, that has no place for info_truth or does
// not ask for the tags.
int verdict_prompt_check(const char *prompt, const char *path);

#endif
