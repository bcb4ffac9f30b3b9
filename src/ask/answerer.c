#include "ask/answerer.h"

#include <stdio.h>

#include "base/fail.h"
#include "input/text_file.h"

static ServedSettings served_settings(const Asked *asked)
{
    const Endpoint *endpoint = &asked->endpoint;
    return (ServedSettings){.url = endpoint->url,
                            .name = endpoint->name,
                            .key_variable = endpoint->key_variable,
                            .temperature = asked->temperature,
                            .top_p = asked->top_p,
                            .repetition_penalty = asked->repetition_penalty,
                            .max_tokens = asked->max_tokens,
                            .in_flight = endpoint->in_flight,
                            .timeout = endpoint->timeout,
                            .retries = endpoint->retries,
                            .backoff = endpoint->backoff};
}

static SpeakerSettings speaker_settings(const Asked *asked)
{
    return (SpeakerSettings){.path = asked->path,
                             .chat = asked->chat,
                             .thinking = asked->thinking,
                             .type = asked->compute == COMPUTE_BF16 ? TYPE_BF16 : TYPE_F32,
                             .max_prompt_tokens = asked->max_prompt_tokens,
                             .max_answer_tokens = asked->max_tokens,
                             .cache_tokens = asked->cache_tokens,
                             .ranks = (int)asked->tensor_parallel};
}

static int open_kind(Answerer *answerer)
{
    if (answerer->kind == ASKED_MODEL) {
        SpeakerSettings settings = speaker_settings(answerer->asked);
        return speaker_open_text(&answerer->speaker, &settings);
    }
    ServedSettings settings = served_settings(answerer->asked);
    return served_check(&settings);
}

int answerer_open(Answerer *answerer, AskedKind kind, const Asked *asked, const char *section)
{
    char setting[64];
    *answerer = (Answerer){.kind = kind, .section = section, .asked = asked};
    if (kind == ASKED_NOBODY)
        return 0;
    snprintf(setting, sizeof setting, "[%s] prompt", section);
    if (asked->prompt[0] && text_file_read(asked->prompt, setting, &answerer->prompt) != 0)
        return -1;
    return open_kind(answerer) == 0 ? 0 : fail_context("[%s]", section);
}

int answerer_ranks(const Answerer *answerer)
{
    return answerer->kind == ASKED_MODEL ? answerer->speaker.settings.ranks : 1;
}

int answerer_build(Answerer *answerer, const Backend *backend, const Group *team)
{
    if (answerer->kind == ASKED_MODEL)
        return speaker_build(&answerer->speaker, backend, team);
    if (answerer->kind == ASKED_SERVED) {
        ServedSettings settings = served_settings(answerer->asked);
        answerer->served = served_open(&settings);
        return answerer->served ? 0 : fail_context("[%s]", answerer->section);
    }
    return 0;
}

void answerer_close(Answerer *answerer)
{
    if (answerer->served)
        served_close(answerer->served);
    speaker_close(&answerer->speaker);
    release(answerer->prompt);
    *answerer = (Answerer){0};
}

size_t answerer_bytes(const Answerer *answerer, const Kernels *kernels)
{
    return answerer->kind == ASKED_MODEL ? speaker_bytes(&answerer->speaker, kernels) : 0;
}

void answerer_identify(const Answerer *answerer, Bytes *out)
{
    const Asked *asked = answerer->asked;
    bytes_print(out, "%d %s %s %s %d %d %.17g %.17g %.17g %lld %lld ", answerer->kind, asked->path,
                asked->endpoint.url, asked->endpoint.name, asked->thinking, asked->compute,
                asked->temperature, asked->top_p, asked->repetition_penalty,
                (long long)asked->max_tokens, (long long)asked->attempts);
    bytes_print(out, "%s %lld %lld ", asked->chat, (long long)asked->max_prompt_tokens,
                (long long)asked->tensor_parallel);
    bytes_append_text(out, answerer->prompt ? answerer->prompt : "");
}
