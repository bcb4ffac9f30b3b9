#include "parallel/team.h"

#include "base/fail.h"

int team_make(Team *team, const Group *group, int ranks, const char *setting)
{
    *team = (Team){0};
    if (group->size % ranks != 0)
        return fail(EXIT_BAD_SETTINGS,
                    "%s = %d, but %d ranks do not divide into engines of %d: start another number "
                    "of ranks or change the setting",
                    setting, ranks, group->size, ranks);
    if (group->size == 0)
        return 0;
    Bytes name = {0};
    bytes_print(&name, "the ranks of a %s", setting);
    team->inside = group_split(group, group->rank / ranks, name.data);
    team->across = group_split(group, group->rank % ranks, "the ranks in one place of their teams");
    bytes_free(&name);
    return 0;
}

void team_free(Team *team)
{
    group_free(&team->inside);
    group_free(&team->across);
}

bool team_leads(const Team *team)
{
    return team->inside.size > 0 && team->inside.rank == 0;
}
