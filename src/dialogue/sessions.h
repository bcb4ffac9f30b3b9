// sessions.h - expert conversation logs: sessions of messages (specification, section 2).

#ifndef L2A_DIALOGUE_SESSIONS_H
#define L2A_DIALOGUE_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "dialogue/message.h"
#include "input/jsonl.h"

typedef struct {
    json_t *record;          // owned: the line as it was read
    json_t *id;              // borrowed from record: integer or string
    const char *name;        // owned: the id as text, the first part of every cid
    const Message *messages; // owned array, texts borrowed from record
    int64_t message_count;
} Session;

typedef struct {
    Session *sessions; // owned, in file order
    int64_t count;
    JsonlReport report;
} SessionSet;

// Reads a JSONL file of sessions. Bad lines: specification, section 2; with `skip_bad` they are
// left out and counted in `report.bad`.
int sessions_read(SessionSet *set, const char *path, bool skip_bad);
void sessions_free(SessionSet *set);

// The text of an id that is an integer or a string; to be released.
char *session_name(const json_t *id);

// True where the line is a session of section 2, duplicates aside; else rejects it.
bool session_check(JsonlReader *reader, const json_t *record);

#endif
