#include "base/background.h"

#include <signal.h>

static void *do_work(void *context)
{
    Background *background = context;
    background->status = background->work(background->context);
    if (background->status != 0)
        failure_keep(&background->failure);
    atomic_store_explicit(&background->done, true, memory_order_release);
    return NULL;
}

void background_begin(Background *background, BackgroundWork *work, void *context)
{
    *background = (Background){.work = work, .context = context};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // inherited by the new thread
    background->threaded = pthread_create(&background->thread, NULL, do_work, background) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!background->threaded)
        do_work(background);
}

bool background_done(const Background *background)
{
    return atomic_load_explicit(&background->done, memory_order_acquire);
}

int background_end(Background *background)
{
    if (background->threaded)
        pthread_join(background->thread, NULL);
    return background->status == 0 ? 0 : failure_repeat(&background->failure);
}
