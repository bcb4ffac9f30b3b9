// test_fit.c - what is given up so that a job fits on GPUs, and what check says of it.

#include "tests/testing.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "tasks/fit.h"

static const char CONFIG[] =
    "{\"architectures\": [\"Qwen2ForCausalLM\"], \"model_type\": \"qwen2\", \"hidden_act\": "
    "\"silu\", \"hidden_size\": 3584, \"intermediate_size\": 18944, \"num_hidden_layers\": 28, "
    "\"num_attention_heads\": 28, \"num_key_value_heads\": 4, \"vocab_size\": 152064, "
    "\"max_position_embeddings\": 32768, \"rms_norm_eps\": 1e-06, \"rope_theta\": 1000000.0, "
    "\"tie_word_embeddings\": false}";

typedef struct {
    ModelShape shape;
    AdapterShape adapter;
    Settings settings;
    FitQuestion question;
} Scene;

static void scene_make(Scene *scene, const char *text)
{
    Bytes faults = {0};
    *scene = (Scene){0};
    assert_int_equal(shape_parse(&scene->shape, CONFIG, strlen(CONFIG), "config"), 0);
    assert_int_equal(
        settings_read_text(&scene->settings, text, strlen(text), "text", NULL, 0, &faults), 0);
    scene->question = (FitQuestion){.shape = &scene->shape,
                                    .adapter = &scene->adapter,
                                    .settings = &scene->settings,
                                    .reference = true,
                                    .demand = {.positions = 3072, .slots = 1 << 20}};
    bytes_free(&faults);
}

static void expect_words(const Scene *scene, const Fit *fit, const char *words)
{
    Bytes text = {0};
    fit_describe(&scene->question, fit, &text);
    assert_string_equal(text.data, words);
    bytes_free(&text);
}

static const size_t GB = 1000000000;

static void what_fits_is_left_as_set(void **state)
{
    (void)state;
    Scene scene;
    scene_make(&scene, "[model]\ncompute = bf16\n");
    Fit fit = fit_find(&scene.question, 8, 1000 * GB);
    assert_true(fit.possible && fit.fits && fit.most < 1000 * GB);
    expect_words(&scene, &fit, "as set");
    fit = fit_find(&scene.question, 8, GB);
    assert_true(fit.possible && !fit.fits && fit.most > GB);
    expect_words(&scene, &fit, "-");
    settings_free(&scene.settings);
}

// On ever smaller GPUs: it fits as long as it can, with no more than before given up, and what was
// given up makes room.
static void less_room_means_that_more_is_given_up(void **state)
{
    (void)state;
    Scene scene;
    scene_make(&scene, "[model]\ncompute = bf16\n[parallel]\nshard_group = 8\nrecompute = none\n"
                       "reshard_after_forward = no\n");
    for (int gpus = 1; gpus <= 16; gpus *= 4) {
        size_t set = fit_as_set(&scene.question, gpus, SIZE_MAX).most, least = set;
        bool fitted = true, changed = false;
        for (size_t bytes = 2 * set; bytes > 0; bytes -= set / 64) {
            Fit fit = fit_find(&scene.question, gpus, bytes);
            assert_true(fitted || !fit.fits);
            assert_true(fit.fits == (fit.most <= bytes));
            fitted = fit.fits;
            if (!fitted) {
                assert_true(fit.most <= least); // nothing smaller was found before
                break;
            }
            Bytes words = {0};
            fit_describe(&scene.question, &fit, &words);
            assert_true((bytes >= set) == (strcmp(words.data, "as set") == 0));
            changed = changed || bytes < set;
            least = fit.most < least ? fit.most : least;
            bytes_free(&words);
        }
        assert_true(!fitted && changed);
    }
    settings_free(&scene.settings);
}

static void masters_and_moments_on_the_host_take_no_room(void **state)
{
    (void)state;
    Scene device, host;
    scene_make(&device, "[model]\ncompute = bf16\n");
    scene_make(&host, "[model]\ncompute = bf16\n[optimizer]\nmemory = host\n");
    MemoryParts a = fit_as_set(&device.question, 4, SIZE_MAX).parts[0];
    MemoryParts b = fit_as_set(&host.question, 4, SIZE_MAX).parts[0];
    size_t moved = a.bytes[PART_MASTERS] + a.bytes[PART_MOMENTS];
    assert_true(moved > 20 * GB);
    assert_int_equal(a.total - b.total, moved);
    assert_int_equal(b.host - a.host, moved);
    settings_free(&device.settings);
    settings_free(&host.settings);
}

static void ranks_are_divided_in_proportion(void **state)
{
    (void)state;
    Scene scene;
    scene_make(&scene, "[parallel]\nplacement = split\nlearner_ranks = 1\nrollout_ranks = 3\n");
    assert_false(fit_as_set(&scene.question, 1, SIZE_MAX).possible);
    Fit fit = fit_as_set(&scene.question, 16, SIZE_MAX);
    assert_int_equal(fit.kind_count, 2);
    assert_int_equal(fit.kinds[0].ranks, 12);
    assert_int_equal(fit.kinds[1].ranks, 4);
    assert_int_equal(fit.kinds[1].learners, 4);
    assert_true(fit.parts[0].bytes[PART_MASTERS] == 0 && fit.parts[1].bytes[PART_WEIGHTS] == 0);
    settings_free(&scene.settings);
}

static void a_list_of_gpus_is_a_list_of_numbers(void **state)
{
    (void)state;
    static const char *const bad[] = {"24,", ",24", "24;40", "0", "24,40,80,141,141", "x", "99999"};
    double sizes[CHECK_GPUS];
    Settings settings = {.check.gpus = (char[]){"24,141"}};
    assert_int_equal(settings_gpus(&settings, sizes), 2);
    assert_true(sizes[0] == 24 && sizes[1] == 141);
    settings.check.gpus = (char[]){""};
    assert_int_equal(settings_gpus(&settings, sizes), 0);
    for (int i = 0; i < 7; i++) {
        settings.check.gpus = (char *)(uintptr_t)bad[i];
        assert_int_equal(settings_gpus(&settings, sizes), -1);
    }
}

static MemoryQuestion question_of(const Scene *scene)
{
    RankKind kinds[RANK_KINDS];
    assert_int_equal(sizes_kinds(&scene->settings, 8, kinds), 1);
    return (MemoryQuestion){.shape = &scene->shape,
                            .adapter = &scene->adapter,
                            .settings = &scene->settings,
                            .sizes = sizes_share(&scene->settings, scene->question.demand, 8),
                            .kind = kinds[0],
                            .reference = true,
                            .gpu = true};
}

// Below what a rank needs: first smaller micro-batches are proposed, then smaller caches with them,
// at last there is nothing left to propose. What is proposed fits.
static void a_bound_is_kept_by_what_is_proposed(void **state)
{
    (void)state;
    Scene scene;
    scene_make(&scene, "[model]\ncompute = bf16\n[parallel]\nmicro_batch_tokens = 16384\n");
    MemoryQuestion question = question_of(&scene);
    size_t needed = sizes_memory(&question).total;
    int stage = 0, count[3] = {0};
    for (double part = 1.001; part > 0.05; part -= 0.01) {
        long long rows = 0, slots = 0;
        scene.settings.parallel.memory = part * (double)needed / 1e9;
        scene.settings.parallel.micro_batch_tokens = 16384;
        question = question_of(&scene);
        if (part > 1) {
            assert_int_equal(sizes_check(&question), 0);
            continue;
        }
        assert_int_equal(sizes_check(&question), -1);
        assert_int_equal(fail_code(), EXIT_BAD_SETTINGS);
        const char *set = strstr(fail_message(), "set parallel.micro_batch_tokens = ");
        int found = set ? sscanf(set,
                                 "set parallel.micro_batch_tokens = %lld and rollout.cache_tokens "
                                 "= %lld",
                                 &rows, &slots)
                        : 0;
        int now = found == 1 ? 0 : found == 2 ? 1 : 2;
        assert_true(now >= stage);
        stage = now;
        count[stage]++;
        if (stage == 2) {
            assert_non_null(strstr(fail_message(), "allow more, or take more ranks"));
            continue;
        }
        scene.settings.parallel.micro_batch_tokens = rows;
        scene.settings.rollout.cache_tokens = slots;
        question = question_of(&scene);
        assert_int_equal(sizes_check(&question), 0);
        scene.settings.rollout.cache_tokens = 0;
    }
    assert_true(count[0] > 0 && count[1] > 0 && count[2] > 0);
    settings_free(&scene.settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_left_as_set),
        cmocka_unit_test(less_room_means_that_more_is_given_up),
        cmocka_unit_test(masters_and_moments_on_the_host_take_no_room),
        cmocka_unit_test(ranks_are_divided_in_proportion),
        cmocka_unit_test(a_list_of_gpus_is_a_list_of_numbers),
        cmocka_unit_test(a_bound_is_kept_by_what_is_proposed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
