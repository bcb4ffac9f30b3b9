// show_commands.h - what l2a-show can do: one function a command, a file each; see
// tools/show_arguments.h for their form.

#ifndef L2A_TOOLS_SHOW_COMMANDS_H
#define L2A_TOOLS_SHOW_COMMANDS_H

#include "tools/show_arguments.h"

ShowRunCommand show_summary, show_responses, show_compare, show_checkpoint, show_plot, show_metrics,
    show_report;

#endif
