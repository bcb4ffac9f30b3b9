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

// Scratch of one context after the other.
typedef struct {
    const Dataset *dataset;
    const Chat *chat;
    int32_t max_response_tokens;
    Tokens tokens, mask;
} Replies;

// A branch of `replies` [count], messages that follow the context of sample `index`.
static void add_replies(Replies *scratch, Tree *tree, int64_t index, const ChatMessage *replies,
                        int64_t count)
{
    const Sample *sample = &scratch->dataset->set.samples[index];
    int64_t context_count, first = 0;
    ChatMessage *context = dataset_messages(scratch->dataset, sample, &context_count);
    tokens_clear(&scratch->tokens);
    tokens_clear(&scratch->mask);
    if (chat_encode_replies(scratch->chat, context, context_count, replies, count, &scratch->tokens,
                            &scratch->mask) != 0)
        die_failed(); // the same roles were encoded when the data set was opened
    while (first < scratch->mask.count && scratch->mask.ids[first] == 0)
        first++;
    add_expert_branch(tree, &scratch->tokens, &scratch->mask, first, scratch->max_response_tokens);
    name_branch(&tree->branches[tree->branch_count - 1], scratch->dataset, index, 0);
    release(context);
}

static void add_expert(Replies *scratch, Tree *tree, int64_t index)
{
    const Sample *sample = &scratch->dataset->set.samples[index];
    ChatMessage *messages = allocate((size_t)sample->expert_count, sizeof *messages);
    for (int64_t i = 0; i < sample->expert_count; i++)
        messages[i] = (ChatMessage){"assistant", sample->expert[i].content,
                                    strlen(sample->expert[i].content)};
    add_replies(scratch, tree, index, messages, sample->expert_count);
    release(messages);
}

static void free_scratch(Replies *scratch)
{
    tokens_free(&scratch->tokens);
    tokens_free(&scratch->mask);
}

Tree session_tree_of_expert(const Dataset *dataset, const Chat *chat, SessionPart part,
                            int32_t max_response_tokens)
{
    Tree tree = make_tree(dataset, part, part.count);
    Replies scratch = {
        .dataset = dataset, .chat = chat, .max_response_tokens = max_response_tokens};
    for (int64_t i = 0; i < part.count; i++)
        if (dataset->set.samples[part.samples[i]].expert_count > 0)
            add_expert(&scratch, &tree, part.samples[i]);
    free_scratch(&scratch);
    return tree;
}

// The sampled response to sample `index` with the least reward; NULL: none is worse than the best
// there could be.
static const Branch *worst_of(const Tree *sampled, int64_t index, double full_marks)
{
    const Branch *worst = NULL;
    for (int32_t b = 0; b < sampled->branch_count; b++) {
        const Branch *branch = &sampled->branches[b];
        bool counts = branch->sample == index && branch->graded && branch->count > 0 &&
                      (double)branch->reward < full_marks;
        if (counts && (!worst || branch->reward < worst->reward))
            worst = branch;
    }
    return worst;
}

// The same tokens behind the same trunk.
static void add_copy(Tree *tree, const Branch *from)
{
    size_t count = (size_t)from->count;
    Branch *branch = tree_add_branch(tree, from->attach, from->forced, from->count);
    branch->count = from->count;
    branch->sample = from->sample;
    branch->round = from->round;
    memcpy(branch->tokens, from->tokens, ((size_t)from->forced + count) * sizeof *from->tokens);
    memcpy(branch->scored, from->scored, count);
}

Tree session_tree_of_pairs(const Dataset *dataset, const Chat *chat, SessionPart part,
                           int32_t max_response_tokens, const Tree *sampled, double full_marks)
{
    Tree tree = make_tree(dataset, part, 2 * part.count);
    Replies scratch = {
        .dataset = dataset, .chat = chat, .max_response_tokens = max_response_tokens};
    for (int64_t i = 0; i < part.count; i++) {
        int64_t index = part.samples[i];
        const char *given = sampled ? NULL : sample_rejected(&dataset->set.samples[index]);
        const Branch *worst = sampled ? worst_of(sampled, index, full_marks) : NULL;
        if (dataset->set.samples[index].expert_count == 0 || (!given && !worst))
            continue;
        add_expert(&scratch, &tree, index);
        if (worst)
            add_copy(&tree, worst);
        else
            add_replies(&scratch, &tree, index, &(ChatMessage){"assistant", given, strlen(given)},
                        1);
    }
    free_scratch(&scratch);
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
