// exchange.h - where roles meet: trees one way, weights the other.
//
// Both calls are collective over all ranks of the world and are the same for every placement.

#ifndef L2A_EXCHANGE_EXCHANGE_H
#define L2A_EXCHANGE_EXCHANGE_H

#include "model/tree.h"
#include "model/weights.h"
#include "parallel/backend.h"

// A step's trees. Each has a place in the order of the step.
typedef struct {
    Tree *trees;    // owned
    int64_t *order; // owned: place in the step
    int64_t count;
    size_t capacity, order_capacity;
} TreeList;

// Appends a tree; the list owns its contents from then on.
Tree *tree_list_add(TreeList *list, const Tree *tree, int64_t order);
void tree_list_clear(TreeList *list);
void tree_list_free(TreeList *list);

// Every rank's finished trees on every rank, in the order of the step: `mine` is emptied into
// `all`. Token ids are small (a few MB a step); the learner ranks then agree on who computes what
// without another word. Collective over world->all.
void exchange_trees(const World *world, TreeList *mine, TreeList *all);

// What learner ranks hold (the model's masters or an adapter's, or a copy of them), unit by unit in
// `type`, packed into the rollout ranks' weights (NULL on ranks without that role). `shards` [as
// Parameters lays them out] are read on learner ranks. Collective over the publication's world.
void exchange_weights(const Collective *collective, Publication *publication,
                      const Parameters *parameters, Elements shards, ElementType type,
                      Weights *weights);

// XXH3 of the masters, unit by unit in fp32: equal numbers mean equal bits, whatever the number of
// learner ranks. The same on every rank. Collective over the publication's world.
uint64_t exchange_checksum(const Backend *backend, Publication *publication,
                           const Parameters *parameters, const float *master);

// The number of files/tensor_checksum.h, which tools find too. The same on every rank. Collective
// over the publication's world.
uint64_t exchange_tensor_checksum(const Backend *backend, Publication *publication,
                                  const Parameters *parameters, const float *master);

#endif
