#include "base/activity.h"

#include "base/clock.h"

static Activity own = {.name = "start"};
static Activity *_Atomic noted = &own;

enum { CONTEXT_BYTES = 64 };
static struct {
    FILE *screen;                // NULL: there is none
    char context[CONTEXT_BYTES]; // "": nothing is shown
} shown;

void activity_begin(const char *name)
{
    Activity *activity = atomic_load(&noted);
    snprintf(activity->name, sizeof activity->name, "%s", name);
    activity_sign();
    if (shown.screen && shown.context[0]) {
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

void activity_set_screen(FILE *screen)
{
    shown.screen = screen;
}

void activity_show(const char *context)
{
    snprintf(shown.context, sizeof shown.context, "%s", context ? context : "");
}

void activity_clear(void)
{
    if (!shown.screen || !shown.context[0])
        return;
    fputs("\r\033[K", shown.screen);
    fflush(shown.screen);
}
