// readable.h - who may read what a program writes: [run] readable_by.

#ifndef L2A_INPUT_READABLE_H
#define L2A_INPUT_READABLE_H

#include "input/settings.h"

// What is written from here on is as private as the run is to be, and as the umask asks.
void readable_apply(Readable readable_by);

#endif
