// background.h - a piece of work in a thread of its own, beside the thread that began it.
//
// Signals go to the other threads. What the work records by fail is recorded again in the thread
// that waits for its end.

#ifndef L2A_BASE_BACKGROUND_H
#define L2A_BASE_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/fail.h"

typedef int BackgroundWork(void *context); // 0 or what fail returns

typedef struct {
    BackgroundWork *work;
    void *context; // borrowed
    pthread_t thread;
    bool threaded; // else it was done at once
    atomic_bool done;
    int status;
    Failure failure;
} Background;

// Where the system has no thread left the work is done before the call returns.
void background_begin(Background *background, BackgroundWork *work, void *context);

bool background_done(const Background *background);

// Waits for the end; the work's status. To be called once for every background_begin.
int background_end(Background *background);

#endif
