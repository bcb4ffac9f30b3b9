// show_watch.h - l2a-show RUN --watch: a run followed to its end.

#ifndef L2A_TOOLS_SHOW_WATCH_H
#define L2A_TOOLS_SHOW_WATCH_H

// On a terminal whose cursor moves a panel that is drawn again every two seconds, else a line for
// every step as it is done, those of the last ten first. Returns when nobody has the run any more,
// with its state said; -1 as show_run_open fails, EXIT_BAD_DATA, EXIT_CANNOT_WRITE.
int show_watch(const char *directory);

#endif
