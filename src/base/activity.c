#include "base/activity.h"

#include <stdio.h>

#include "base/clock.h"

static Activity own = {.name = "start"};
static Activity *_Atomic noted = &own;

void activity_begin(const char *name)
{
    Activity *activity = atomic_load(&noted);
    snprintf(activity->name, sizeof activity->name, "%s", name);
    activity_sign();
}

void activity_sign(void)
{
    Activity *activity = atomic_load_explicit(&noted, memory_order_relaxed);
    atomic_store_explicit(&activity->sign, clock_nanoseconds(), memory_order_relaxed);
}

void activity_move(Activity *place)
{
    const Activity *before = atomic_load(&noted);
    place = place ? place : &own;
    if (place != before)
        snprintf(place->name, sizeof place->name, "%s", before->name);
    atomic_store(&noted, place);
    activity_sign();
}

const Activity *activity_now(void)
{
    return atomic_load(&noted);
}
