#include "tasks/served_policy.h"

#include "base/clock.h"
#include "base/fail.h"

// A response that has been asked for.
typedef struct {
    Tree *tree;
    Branch *branch;
} Wanted;

typedef struct {
    Job *job;
    const RolloutPlan *plan;
    Wanted *wanted; // owned
    char *failure;  // owned: why there is no response, of the first such
} Asking;

static bool usable(void *context, int64_t tag, const char *text, size_t length)
{
    (void)context, (void)tag, (void)text, (void)length;
    return true;
}

static void take(void *context, const AskAnswer *answer)
{
    Asking *asking = context;
    const Wanted *wanted = &asking->wanted[answer->tag];
    if (answer->failure) {
        wanted->branch->missing = 1;
        wanted->branch->graded = 0;
        if (!asking->failure)
            asking->failure = duplicate(answer->failure);
        return;
    }
    bytes_append(&wanted->branch->text, answer->text, answer->length);
    wanted->branch->finished = answer->whole;
    grading_take(asking->job->grading, wanted->tree, wanted->branch);
}

static Tree empty_tree(const RolloutPlan *plan, SessionPart part)
{
    Tree tree;
    tree_make(&tree, plan->dataset->set.samples[part.samples[0]].session, NULL, 0,
              (int32_t)part.count * plan->repeats);
    for (int64_t i = 0; i < part.count; i++) {
        for (int32_t r = 0; r < plan->repeats; r++) {
            Branch *branch = tree_add_branch(&tree, 0, 0, 0);
            branch->sample = (int32_t)part.samples[i];
            branch->round = (int32_t)plan->dataset->set.samples[part.samples[i]].round;
            branch->repeat = r;
        }
    }
    return tree;
}

static void submit(Ask *ask, const RolloutPlan *plan, const Branch *branch, int64_t tag)
{
    const Sample *sample = &plan->dataset->set.samples[branch->sample];
    int64_t count;
    ChatMessage *messages = dataset_messages(plan->dataset, sample, &count);
    ask_submit(ask, &(AskQuestion){.messages = messages,
                                   .message_count = count,
                                   .tag = tag,
                                   .session = (uint32_t)sample->session,
                                   .round = (uint32_t)sample->round,
                                   .repeat = (uint32_t)branch->repeat});
    release(messages);
}

static int64_t ask_all(Asking *asking, TreeList *mine)
{
    const RolloutPlan *plan = asking->plan;
    AskSettings settings = {.seed = plan->generation.seed,
                            .purpose = plan->generation.purpose,
                            .usable = usable,
                            .take = take,
                            .context = asking};
    Ask *ask = ask_make(&settings, &asking->job->policy);
    int64_t count = 0;
    for (int64_t t = 0; t < mine->count; t++)
        count += mine->trees[t].branch_count;
    asking->wanted = allocate((size_t)count, sizeof *asking->wanted);
    count = 0;
    for (int64_t t = 0; t < mine->count; t++) {
        for (int32_t b = 0; b < mine->trees[t].branch_count; b++, count++) {
            asking->wanted[count] = (Wanted){&mine->trees[t], &mine->trees[t].branches[b]};
            submit(ask, plan, &mine->trees[t].branches[b], count);
        }
    }
    ask_finish(ask);
    int64_t unanswered = ask_counts(ask).unanswered;
    ask_free(ask);
    return unanswered;
}

int served_policy_run(Job *job, const RolloutPlan *plan, const SessionPart *parts, int64_t count,
                      TreeList *all, RolloutTimes *times)
{
    const Group *group = &job->world.all;
    Rollout rollout;
    Asking asking = {.job = job, .plan = plan};
    double unanswered = 0, asked = 0;
    rollout_open(&rollout, job, plan);
    for (int64_t p = group->rank; p < count; p += group->size) {
        Tree tree = empty_tree(plan, parts[p]);
        tree_list_add(&rollout.mine, &tree, p);
        asked += tree.branch_count;
    }
    if (rollout.mine.count > 0)
        unanswered = (double)ask_all(&asking, &rollout.mine);
    rollout_sampled(&rollout);
    int status = rollout_finish(&rollout, job, all, times);
    double sums[] = {asked, unanswered};
    if (asking.failure)
        warn("[policy] %.0f responses are missing, one of them because: %s", unanswered,
             asking.failure);
    group_sum(group, sums, 2);
    if (status == 0 && sums[1] == sums[0])
        status =
            fail(EXIT_UNAVAILABLE, "[policy] the server answered none of %.0f requests", sums[0]);
    release(asking.wanted);
    release(asking.failure);
    return status;
}
