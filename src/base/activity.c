#include "base/activity.h"

#include "base/clock.h"

static Activity own = {.name = "start"};
static Activity *_Atomic noted = &own;

enum { CONTEXT_BYTES = 64 };
static struct {
    FILE *screen; // NULL: nothing is shown
    char context[CONTEXT_BYTES];
} shown;

void activity_begin(const char *name)
{
    Activity *activity = atomic_load(&noted);
    snprintf(activity->name, sizeof activity->name, "%s", name);
    activity_sign();
    if (shown.screen) {
        fprintf(shown.screen, "\r\033[K%s: %s", shown.context, name); // the rest is erased
        fflush(shown.screen);
    }
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

void activity_show(FILE *screen, const char *context)
{
    shown.screen = context ? screen : NULL;
    snprintf(shown.context, sizeof shown.context, "%s", context ? context : "");
}

void activity_clear(void)
{
    if (!shown.screen)
        return;
    fputs("\r\033[K", shown.screen);
    fflush(shown.screen);
}
