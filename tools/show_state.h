// show_state.h - how a run stands: under way, finished, stopped, or gone without a word.
//
// What is known of a run is in its directory: who holds it (files/run_holder.h), how far it has
// come (the journal), what it began with and how its last start ended (log.txt). Whether a holder
// on another host is still there cannot be seen; it is taken to be, and its last sign is told.

#ifndef L2A_TOOLS_SHOW_STATE_H
#define L2A_TOOLS_SHOW_STATE_H

#include "files/run_holder.h"
#include "tools/show_log.h"
#include "tools/show_run.h"

typedef enum {
    STATE_UNDER_WAY,
    STATE_FINISHED,
    STATE_STOPPED, // in good order
    STATE_ENDED,   // killed, or ended by an error
    STATE_NEW,     // nothing was ever begun
} StateKind;

typedef struct {
    StateKind kind;
    int64_t done, total; // steps; total 0: unknown
    int64_t saved;       // step of the newest checkpoint; -1: there is none
    RunHolder holder;    // where `held`
    bool held;           // the lock names somebody, be he gone or not
    bool here;           // who it names was on this host, so that it is known whether he is gone
    double since;        // seconds since the journal was last written; NaN: never
    double step_seconds; // of the newest steps, evaluations included; NaN: unknown
    double left;         // seconds to the end, if all goes on like this; NaN: unknown
} ShowState;

// `now` is a time of time(2).
ShowState show_state_of(const ShowRun *run, const ShowLog *log, double now);

// Appends the state in some sentences of one line each, with what to do.
void show_state_print(const ShowState *state, const ShowRun *run, const ShowLog *log, Bytes *out);

const char *show_state_word(StateKind kind); // "under way", "finished"

#endif
