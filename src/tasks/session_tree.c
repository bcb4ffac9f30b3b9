#include "tasks/session_tree.h"

#include <string.h>

#include "base/fail.h"

static const ContextTokens *longest_context(const Dataset *dataset, SessionPart part)
{
    const ContextTokens *longest = &dataset->contexts[part.samples[0]];
    for (int64_t i = 1; i < part.count; i++)
        if (dataset->contexts[part.samples[i]].count > longest->count)
            longest = &dataset->contexts[part.samples[i]];
    return longest;
}

static Tree make_tree(const Dataset *dataset, SessionPart part, int64_t branches)
{
    const ContextTokens *trunk = longest_context(dataset, part);
    Tree tree;
    tree_make(&tree, dataset->set.samples[part.samples[0]].session, trunk->ids, trunk->count,
              (int32_t)branches);
    return tree;
}

static void name_branch(Branch *branch, const Dataset *dataset, int64_t sample, int32_t repeat)
{
    branch->sample = (int32_t)sample;
    branch->round = (int32_t)dataset->set.samples[sample].round;
    branch->repeat = repeat;
}

Tree session_tree_for_rollout(const Dataset *dataset, SessionPart part, int32_t repeats,
                              int32_t max_response_tokens)
{
    Tree tree = make_tree(dataset, part, part.count * repeats);
    for (int64_t i = 0; i < part.count; i++) {
        const ContextTokens *context = &dataset->contexts[part.samples[i]];
        int32_t attach = (int32_t)tokens_common_prefix(context->ids, context->count, tree.trunk,
                                                       tree.trunk_length);
        int32_t forced = context->count - attach;
        for (int32_t r = 0; r < repeats; r++) {
            Branch *branch = tree_add_branch(&tree, attach, forced, max_response_tokens);
            memcpy(branch->tokens, context->ids + attach, (size_t)forced * sizeof *context->ids);
            name_branch(branch, dataset, part.samples[i], r);
        }
    }
    return tree;
}

static ChatMessage *expert_messages(const Sample *sample)
{
    ChatMessage *messages = allocate((size_t)sample->expert_count, sizeof *messages);
    for (int64_t i = 0; i < sample->expert_count; i++)
        messages[i] = (ChatMessage){"assistant", sample->expert[i].content,
                                    strlen(sample->expert[i].content)};
    return messages;
}

static void add_expert_branch(Tree *tree, const Tokens *tokens, const Tokens *mask, int64_t first,
                              int32_t max_response_tokens)
{
    int64_t common =
        tokens_common_prefix(tokens->ids, tokens->count, tree->trunk, tree->trunk_length);
    // The trunk may go on with the same words; the branch computes them as its own all the same.
    int32_t attach = (int32_t)(common < first ? common : first);
    int64_t count = tokens->count - first;
    if (count > max_response_tokens)
        count = max_response_tokens;
    Branch *branch = tree_add_branch(tree, attach, (int32_t)first - attach, (int32_t)count);
    branch->count = (int32_t)count;
    memcpy(branch->tokens, tokens->ids + attach,
           (size_t)(first - attach + count) * sizeof *tokens->ids);
    for (int64_t i = 0; i < count; i++)
        branch->scored[i] = mask->ids[first + i] != 0;
}

Tree session_tree_of_expert(const Dataset *dataset, const Chat *chat, SessionPart part,
                            int32_t max_response_tokens)
{
    Tree tree = make_tree(dataset, part, part.count);
    Tokens tokens = {0}, mask = {0};
    for (int64_t i = 0; i < part.count; i++) {
        const Sample *sample = &dataset->set.samples[part.samples[i]];
        if (sample->expert_count == 0)
            continue;
        int64_t count;
        ChatMessage *context = dataset_messages(dataset, sample, &count);
        ChatMessage *replies = expert_messages(sample);
        tokens_clear(&tokens);
        tokens_clear(&mask);
        if (chat_encode_replies(chat, context, count, replies, sample->expert_count, &tokens,
                                &mask) != 0)
            die_failed(); // the same roles were encoded when the data set was opened
        int64_t first = 0;
        while (first < mask.count && mask.ids[first] == 0)
            first++;
        add_expert_branch(&tree, &tokens, &mask, first, max_response_tokens);
        name_branch(&tree.branches[tree.branch_count - 1], dataset, part.samples[i], 0);
        release(context);
        release(replies);
    }
    tokens_free(&tokens);
    tokens_free(&mask);
    return tree;
}

void session_tree_costs(const Dataset *dataset, const Tree *tree, TreeCosts *costs)
{
    costs->rows += tree_rows(tree);
    // Contexts of a tree share all but their own ends: the trie is the trunk and, once a context,
    // the forced tokens.
    costs->trie += tree->trunk_length;
    for (int32_t b = 0; b < tree->branch_count; b++) {
        const Branch *branch = &tree->branches[b];
        bool first = b == 0 || tree->branches[b - 1].sample != branch->sample;
        costs->independent += dataset->contexts[branch->sample].count + branch->count - 1;
        costs->trie += branch->count + (first ? branch->forced : 0);
        costs->forced += branch->forced;
    }
}
