// show_attention.h - what deserves attention in a run, each with its remedy.

#ifndef L2A_TOOLS_SHOW_ATTENTION_H
#define L2A_TOOLS_SHOW_ATTENTION_H

#include "tools/show_log.h"
#include "tools/show_run.h"

// Where a finding goes: one text, of ours or made harmless.
typedef void ShowAttentionTake(void *context, const char *finding);

// Calls `take` for every finding; returns their number.
int show_attention_find(const ShowRun *run, const ShowLog *log, ShowAttentionTake *take,
                        void *context);

#endif
