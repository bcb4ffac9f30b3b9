// mail.h - messages of bytes from one rank to another, under way while both compute.
//
// Posting never waits. A message arrives in the order in which its sender posted it. Waiting sleeps
// between looks, so that a rank without work leaves its core to others.

#ifndef L2A_PARALLEL_MAIL_H
#define L2A_PARALLEL_MAIL_H

#include <stdbool.h>

#include "parallel/group.h"

typedef struct Mail Mail;

typedef struct {
    int from; // rank in the group
    int kind; // the sender's, from 0
    Bytes bytes;
} Letter;

Mail *mail_open(const Group *group); // borrowed; one at a time on a group

void mail_post(Mail *mail, int to, int kind, const Bytes *bytes); // copies

// The next letter, whose bytes are the caller's to free; waits for one where `wait`.
bool mail_take(Mail *mail, bool wait, Letter *letter);

// Waits until all that was posted has been taken.
void mail_close(Mail *mail);

#endif
