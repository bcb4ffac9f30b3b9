// activity.h - what this process does and when it last got on, for those who watch it.
//
// Whoever may be at work for long says so now and then: others that wait for this process can tell
// that it is slow from that it hangs (parallel/watchdog.h).

#ifndef L2A_BASE_ACTIVITY_H
#define L2A_BASE_ACTIVITY_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

enum { ACTIVITY_NAME_BYTES = 32 };

typedef struct {
    _Atomic int64_t sign; // when it last got on: nanoseconds of clock_now's clock
    char name[ACTIVITY_NAME_BYTES];
} Activity;

// What is done from now on, in a few words ("sampling"); the main thread's.
void activity_begin(const char *name);

// It gets on. From any thread; takes some 30 ns.
void activity_sign(void);

// Where both are noted from now on: memory that others see. NULL: memory of this process.
void activity_move(Activity *place);

const Activity *activity_now(void);

// What is done may also be shown on a screen (NULL: on none), each over the one before.
void activity_set_screen(FILE *screen);

// From now on it is shown there, behind `context` ("step 3/12"; NULL: not any more); activity_clear
// takes it off the line before something is printed. The main thread's.
void activity_show(const char *context);
void activity_clear(void);

#endif
