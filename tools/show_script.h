// show_script.h - a picture of learning curves as a script for gnuplot, its data inline.

#ifndef L2A_TOOLS_SHOW_SCRIPT_H
#define L2A_TOOLS_SHOW_SCRIPT_H

#include "tools/show_run.h"

typedef struct {
    const char *title, *name; // "reward", "critic/rewards/mean"
    const char *evaluation;   // drawn as points; NULL: nothing
    bool from_zero;           // its values are not negative
} ScriptPanel;

// Appends a script that writes the picture to gnuplot's standard output: no file is named in it,
// and the names of runs stand in quotes that nothing in them ends.
void show_script_print(const ShowRun *runs, int run_count, const ScriptPanel *panels,
                       int panel_count, bool svg, Bytes *out);

#endif
