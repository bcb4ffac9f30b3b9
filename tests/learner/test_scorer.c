// test_scorer.c - the scorer on any number of ranks.

#include "tests/testing.h"

#include "engine/engine.h"
#include "learner/scorer.h"
#include "tests/model/tiny.h"

enum { CAPACITY = 10, ROWS = 64, SLOTS = 1024 };

static Group world;

// A model that is sure of what it says, and what it says: log-probabilities of every size.
static void sure_model_make(Tiny *tiny, Grove *said)
{
    Grove grove;
    Engine engine;
    Generation generation = {.top_p = 1, .repetition_penalty = 1, .max_response_tokens = CAPACITY};
    tiny_make(tiny, TINY_LLAMA, kernels_cpu(), TYPE_F32, 5);
    for (int64_t i = 0; i < tiny->parameters.local; i++)
        tiny->values[i] *= 5;
    tiny_publish(tiny);
    grove_make(&grove, 5, tiny->model.shape->vocabulary, 3);
    grove_sprout(said, &grove, CAPACITY);
    engine_make(&engine, &tiny->model, tiny->weights, ROWS, SLOTS);
    engine_generate(&engine, said->trees, said->count, &generation);
    engine_free(&engine);
    grove_free(&grove);
}

static void scores_do_not_depend_on_ranks_and_micro_batches(void **state)
{
    (void)state;
    static const int64_t micro_batches[] = {130, 300, 4096};
    const Group self = {.comm = MPI_COMM_SELF, .size = 1};
    double sums[6], tokens[6];
    int found = 0;
    Tiny tiny;
    Grove grove;
    sure_model_make(&tiny, &grove);
    for (int i = 0; i < 3; i++) {
        for (int together = 0; together < 2; together++, found++) {
            Scorer scorer;
            scorer_make(&scorer, &tiny.model, tiny.weights, together ? &world : &self,
                        micro_batches[i]);
            scorer_run(&scorer, grove.trees, grove.count, 1, &sums[found], &tokens[found]);
            scorer_free(&scorer);
            assert_true(sums[found] > 0 && sums[found] == sums[0] && tokens[found] == tokens[0]);
        }
    }
    grove_free(&grove);
    tiny_free(&tiny);
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    world = group_world();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_do_not_depend_on_ranks_and_micro_batches),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    group_free(&world);
    group_stop();
    return failures;
}
