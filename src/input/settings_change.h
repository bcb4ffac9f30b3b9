// settings_change.h - what may be set otherwise when a run goes on.
//
// Every setting has one of three classes: its section's, or its own where that differs. README's
// chapter names them.

#ifndef L2A_INPUT_SETTINGS_CHANGE_H
#define L2A_INPUT_SETTINGS_CHANGE_H

#include "input/settings.h"

typedef enum {
    CHANGE_FREE,       // learned is the same, but for rounding
    CHANGE_ON_REQUEST, // the run takes another course: where run.accept_changes = yes
    CHANGE_NEVER,      // it would be another run
    CHANGE_COUNT
} SettingChange;

SettingChange settings_change(const SettingRow *row);

const char *settings_change_name(SettingChange change); // "freely", "on request", "never"

// Appends "section.key from X to Y" for every setting of this class that differs, joined by "; ".
void settings_compare(const Settings *before, const Settings *now, SettingChange change,
                      Bytes *out);

#endif
