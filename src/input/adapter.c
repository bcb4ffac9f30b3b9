#include "input/adapter.h"

#include <string.h>

#include "base/fail.h"

const char *const linear_names[LINEAR_COUNT] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                                "gate_proj", "up_proj", "down_proj"};

const char *const linear_modules[LINEAR_COUNT] = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};

static int linear_of(const char *name, size_t length)
{
    for (int i = 0; i < LINEAR_COUNT; i++)
        if (strlen(linear_names[i]) == length && memcmp(name, linear_names[i], length) == 0)
            return i;
    return -1;
}

int adapter_parse_targets(const char *text, bool targets[LINEAR_COUNT])
{
    memset(targets, 0, LINEAR_COUNT * sizeof *targets);
    for (const char *at = text;; at++) {
        at += strspn(at, " \t");
        size_t length = strcspn(at, ", \t");
        int linear = linear_of(at, length);
        if (linear < 0)
            return fail(EXIT_BAD_SETTINGS,
                        "'%.*s' is no linear layer: q_proj, k_proj, v_proj, o_proj, gate_proj, "
                        "up_proj and down_proj are",
                        (int)length, at);
        if (targets[linear])
            return fail(EXIT_BAD_SETTINGS, "%s is named twice", linear_names[linear]);
        targets[linear] = true;
        at += length;
        at += strspn(at, " \t");
        if (*at == 0)
            return 0;
        if (*at != ',')
            return fail(EXIT_BAD_SETTINGS, "a comma is missing before '%s'", at);
    }
}

bool adapter_alpha_is_usable(double alpha)
{
    return alpha >= 1e-6 && alpha <= 1e6;
}

void adapter_print_targets(const AdapterShape *shape, Bytes *out)
{
    const char *separator = "";
    for (int i = 0; i < LINEAR_COUNT; i++) {
        if (!shape->targets[i])
            continue;
        bytes_print(out, "%s%s", separator, linear_names[i]);
        separator = ",";
    }
}

bool adapter_same(const AdapterShape *a, const AdapterShape *b)
{
    return a->rank == b->rank && !(a->alpha < b->alpha) && !(a->alpha > b->alpha) &&
           memcmp(a->targets, b->targets, sizeof a->targets) == 0;
}
