// show_panel.h - a run that is under way in a few lines, for a screen that is drawn again and
// again.

#ifndef L2A_TOOLS_SHOW_PANEL_H
#define L2A_TOOLS_SHOW_PANEL_H

#include "tools/show_state.h"
#include "tools/show_text.h"

// Appends lines of which none is wider than the screen.
void show_panel_draw(const ShowRun *run, const ShowState *state, const Screen *screen, Bytes *out);

#endif
