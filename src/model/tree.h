// tree.h - what is computed and what moves: a trunk and its branches.
//
// Every context of a session is a token prefix of the next, so a session is one trunk with short
// branches. Token i of a branch has position attach + i and sees trunk [0, attach) and its own
// branch up to i. A branch's tokens are `forced` ones (the rest of its context: seen, not scored)
// and then `count` response tokens.

#ifndef L2A_MODEL_TREE_H
#define L2A_MODEL_TREE_H

#include <stdint.h>

#include "base/memory.h"

typedef struct {
    int32_t attach, forced, count;
    int32_t *tokens; // owned [forced + count]
    float *logprobs; // owned [count]: of the sampler (lp_old); SFT: zeros
    uint8_t *scored; // owned [count]: 1 where the token takes part in the loss
    // The learner's own, [count] each, owned: log-probabilities under the frozen reference and
    // under the policy when it first met them in a step; advantages.
    float *reference, *proximal, *advantages;
    int32_t reply;  // of a response in several turns: where its last completion begins
    int32_t sample; // index of the sample in its sample set
    // What names the draws: the tree's session (unless set otherwise), the sample's round from 1,
    // which of the group's responses, which completion of a response in several turns comes next,
    // which attempt at a question that is asked again.
    int64_t session;
    int32_t round, repeat, completion, attempt;
    int32_t finished; // ended by an end token, not by the length limit
    float decision, content, format, reward;
    int32_t graded;   // takes part in loss and group statistics
    int32_t missing;  // a served policy gave no response
    int32_t unjudged; // a served judge did not reply
    Bytes text;       // owned: the response's last completion, its end token left out
    Bytes earlier;    // owned: the turns before it, what tools returned among them
    char *verdict;    // owned: what a judge said of it; NULL: nothing
} Branch;

typedef struct {
    int64_t session; // ordinal of the session in its sample set
    int32_t trunk_length;
    int32_t *trunk; // owned
    int32_t branch_count;
    Branch *branches; // owned
} Tree;

// A branch of zeroed arrays. `tree->branches` must have room (tree_make reserved it).
void tree_make(Tree *tree, int64_t session, const int32_t *trunk, int32_t trunk_length,
               int32_t branch_capacity);
Branch *tree_add_branch(Tree *tree, int32_t attach, int32_t forced, int32_t capacity);
void tree_free(Tree *tree);

// The same advantage for every token.
void branch_set_advantage(Branch *branch, double advantage);

// Makes room for `capacity` response tokens in all; what is there stays.
void branch_reserve(Branch *branch, int32_t capacity);

// Rows a branch computes: its last token predicts nothing and has none.
int64_t branch_rows(const Branch *branch);

// Rows of the whole tree.
int64_t tree_rows(const Tree *tree);

// Appends a tree's bytes, the learner's own arrays left out; tree_read takes one off the front and
// returns the bytes used. The bytes come from our own ranks or a verified file of ours: a short
// buffer is a broken precondition. Equal trees have equal bytes.
void tree_write(const Tree *tree, Bytes *out);
size_t tree_read(Tree *tree, const char *bytes, size_t length);

#endif
