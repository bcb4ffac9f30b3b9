#include "learner/scorer.h"

void scorer_make(Scorer *scorer, const Model *model, Weights *weights, const Group *group,
                 int64_t micro_batch_tokens)
{
    *scorer = (Scorer){.group = *group, .model = model, .weights = weights};
    int64_t slots = plan_slots(micro_batch_tokens);
    workspace_make(&scorer->workspace, model, WORKSPACE_SCORE, micro_batch_tokens, slots);
    batch_make(&scorer->batch, micro_batch_tokens, slots);
}

void scorer_free(Scorer *scorer)
{
    if (!scorer->model)
        return;
    workspace_free(&scorer->workspace, scorer->model);
    batch_free(&scorer->batch);
    *scorer = (Scorer){0};
}

typedef struct {
    double sum, tokens;
} Score;

static void add_scores(void *context, const LossChunk *chunk)
{
    Score *score = context;
    for (int64_t i = 0; i < chunk->count; i++)
        score->sum -= (double)chunk->logprobs[i];
    score->tokens += (double)chunk->count;
}

void scorer_run(Scorer *scorer, Tree *trees, int64_t count, double temperature, double *sum,
                double *tokens)
{
    Score score = {0};
    Plan plan;
    plan_make(&plan, trees, count, scorer->model->shape,
              (PlanLayout){.rows = scorer->workspace.rows,
                           .slots = scorer->workspace.slots,
                           .rank = scorer->group.rank,
                           .size = scorer->group.size,
                           .together = 1});
    for (int64_t b = 0; b < plan.count; b++) {
        plan_load(&plan, b, &scorer->batch);
        model_forward(scorer->model, scorer->weights, &scorer->batch, &scorer->workspace, NULL);
        model_vocabulary(scorer->model, scorer->weights, &scorer->batch, &scorer->workspace,
                         (float)temperature, add_scores, &score, NULL);
    }
    plan_free(&plan);
    group_sum(&scorer->group, (double *)&score, 2);
    *sum = score.sum;
    *tokens = score.tokens;
}
