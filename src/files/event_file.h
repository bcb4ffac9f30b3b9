// event_file.h - a run's metrics as TensorBoard reads them.
//
// Records of TensorFlow's TFRecord format (length, masked CRC-32C of it, data, masked CRC-32C of
// them), each an Event of its protocol buffers. A start of a run makes a file of its own, which
// begins by saying that what earlier ones hold of its steps does not count any more.

#ifndef L2A_FILES_EVENT_FILE_H
#define L2A_FILES_EVENT_FILE_H

#include <stdint.h>

#include "base/metrics.h"

typedef struct EventFile EventFile;

// Makes DIRECTORY/events.out.tfevents.SECONDS.HOST.PID for steps from `step` on, and the directory.
// NULL: EXIT_CANNOT_CREATE, EXIT_CANNOT_WRITE.
EventFile *event_file_open(const char *directory, int64_t step);

// Appends an event of `step`, now: every metric a scalar, but for those that are not finite.
// EXIT_CANNOT_WRITE.
int event_file_append(EventFile *file, int64_t step, const Metrics *metrics);

void event_file_close(EventFile *file); // NULL is fine

// CRC-32C (Castagnoli), as RFC 3720 has it.
uint32_t event_file_crc(const void *data, size_t bytes);

#endif
