#include "files/event_file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fail.h"
#include "files/directory.h"
#include "files/raw.h"

enum { HOST_BYTES = 128 };

struct EventFile {
    char *path; // owned
    int descriptor;
    int64_t bytes;
    Bytes event, record; // owned
};

uint32_t event_file_crc(const void *data, size_t bytes)
{
    const uint32_t polynomial = 0x82f63b78; // bits in reverse
    const unsigned char *byte = data;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= byte[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
    }
    return ~crc;
}

// TFRecord's: a checksum of data that hold checksums would be weak.
static uint32_t masked_crc(const void *data, size_t bytes)
{
    uint32_t crc = event_file_crc(data, bytes);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

// ---- protocol buffers ---------------------------------------------------------------------------

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

// Fields of Event, Summary, Summary.Value and SessionLog.
enum {
    EVENT_WALL_TIME = 1,
    EVENT_STEP = 2,
    EVENT_VERSION = 3,
    EVENT_SUMMARY = 5,
    EVENT_SESSION = 7
};
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2, SESSION_STATUS = 1, STATUS_START = 1 };

static void put_varint(Bytes *out, uint64_t value)
{
    unsigned char byte;
    do {
        byte = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        bytes_append(out, &byte, 1);
    } while ((value >>= 7) > 0);
}

static void put_key(Bytes *out, int field, int wire)
{
    put_varint(out, (uint64_t)(field << 3 | wire));
}

static void put_bytes(Bytes *out, int field, const void *data, size_t bytes)
{
    put_key(out, field, WIRE_BYTES);
    put_varint(out, bytes);
    bytes_append(out, data, bytes);
}

// Numbers of `bytes` bytes, the lowest first.
static void put_fixed(Bytes *out, uint64_t bits, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)(bits >> 8 * i);
        bytes_append(out, &byte, 1);
    }
}

static void begin_event(Bytes *event, int64_t step)
{
    struct timespec now;
    uint64_t bits;
    clock_gettime(CLOCK_REALTIME, &now);
    double seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    memcpy(&bits, &seconds, sizeof bits);
    bytes_clear(event);
    put_key(event, EVENT_WALL_TIME, WIRE_64);
    put_fixed(event, bits, 8);
    put_key(event, EVENT_STEP, WIRE_VARINT);
    put_varint(event, (uint64_t)step);
}

static void put_scalar(Bytes *summary, const Metric *metric)
{
    Bytes value = {0};
    float simple = (float)metric->value;
    uint32_t bits;
    memcpy(&bits, &simple, sizeof bits);
    put_bytes(&value, VALUE_TAG, metric->name, strlen(metric->name));
    put_key(&value, VALUE_SIMPLE, WIRE_32);
    put_fixed(&value, bits, 4);
    put_bytes(summary, SUMMARY_VALUE, value.data, value.length);
    bytes_free(&value);
}

// ---- the file -----------------------------------------------------------------------------------

// A record that could not be written whole is written over by the next one.
static int write_event(EventFile *file)
{
    Bytes *record = &file->record, length = {0};
    bytes_clear(record);
    put_fixed(&length, file->event.length, 8);
    bytes_append(record, length.data, length.length);
    put_fixed(record, masked_crc(length.data, length.length), 4);
    bytes_append(record, file->event.data, file->event.length);
    put_fixed(record, masked_crc(file->event.data, file->event.length), 4);
    bytes_free(&length);
    if (raw_write_at(file->descriptor, file->path, record->data, record->length, file->bytes) != 0)
        return -1;
    file->bytes += (int64_t)record->length;
    return 0;
}

static int begin_file(EventFile *file, int64_t step)
{
    static const char version[] = "brain.Event:2";
    begin_event(&file->event, 0);
    put_bytes(&file->event, EVENT_VERSION, version, sizeof version - 1);
    if (write_event(file) != 0)
        return -1;
    Bytes session = {0};
    put_key(&session, SESSION_STATUS, WIRE_VARINT);
    put_varint(&session, STATUS_START);
    begin_event(&file->event, step);
    put_bytes(&file->event, EVENT_SESSION, session.data, session.length);
    bytes_free(&session);
    return write_event(file);
}

EventFile *event_file_open(const char *directory, int64_t step)
{
    char host[HOST_BYTES] = "";
    Bytes path = {0};
    if (directory_make(directory) != 0)
        return NULL;
    if (gethostname(host, sizeof host - 1) != 0 || !host[0])
        memcpy(host, "unknown", sizeof "unknown");
    bytes_print(&path, "%s/events.out.tfevents.%010lld.%s.%ld", directory, (long long)time(NULL),
                host, (long)getpid());
    EventFile *file = allocate(1, sizeof *file);
    file->path = path.data;
    file->descriptor = open(path.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file->descriptor < 0)
        fail(EXIT_CANNOT_CREATE, "cannot create %s: %s", file->path, strerror(errno));
    if (file->descriptor < 0 || begin_file(file, step) != 0) {
        event_file_close(file);
        return NULL;
    }
    return file;
}

int event_file_append(EventFile *file, int64_t step, const Metrics *metrics)
{
    Bytes summary = {0};
    for (int64_t i = 0; i < metrics->count; i++)
        if (isfinite(metrics->list[i].value))
            put_scalar(&summary, &metrics->list[i]);
    begin_event(&file->event, step);
    put_bytes(&file->event, EVENT_SUMMARY, summary.data, summary.length);
    bytes_free(&summary);
    return write_event(file);
}

void event_file_close(EventFile *file)
{
    if (!file)
        return;
    if (file->descriptor >= 0)
        close(file->descriptor);
    bytes_free(&file->event);
    bytes_free(&file->record);
    release(file->path);
    release(file);
}
