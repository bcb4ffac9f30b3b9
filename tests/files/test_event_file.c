// test_event_file.c - TensorBoard's events: records and checksums by hand. TensorBoard itself reads
// them in tests/peers/events.py.

#include "tests/testing.h"

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "files/event_file.h"
#include "tests/files/scratch.h"

static void the_checksum_is_that_of_rfc_3720(void **state)
{
    (void)state;
    unsigned char bytes[32];
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(event_file_crc(bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(event_file_crc(bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(event_file_crc(bytes, 32), 0x46dd794e);
    assert_int_equal(event_file_crc("123456789", 9), 0xe3069283);
}

static char *only_file(const char *directory)
{
    DIR *entries = opendir(directory);
    Bytes path = {0};
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries));)
        if (entry->d_name[0] != '.') {
            assert_null(path.data);
            bytes_print(&path, "events/%s", entry->d_name);
        }
    closedir(entries);
    return path.data;
}

// The data of the record at `*offset`, which moves on behind it.
static Bytes next_record(const char *file, size_t bytes, size_t *offset)
{
    Bytes data = {0};
    assert_true(*offset + 12 <= bytes);
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | (unsigned char)file[*offset + (size_t)i];
    uint32_t crc = event_file_crc(file + *offset, 8), stored;
    memcpy(&stored, file + *offset + 8, 4);
    assert_int_equal(stored, (crc >> 15 | crc << 17) + 0xa282ead8u);
    assert_true(*offset + 16 + length <= bytes);
    bytes_append(&data, file + *offset + 12, length);
    *offset += 16 + length;
    return data;
}

static bool holds(const Bytes *data, const char *text)
{
    return memmem(data->data, data->length, text, strlen(text));
}

static void a_step_is_one_record_of_its_finite_metrics(void **state)
{
    (void)state;
    Metrics metrics = {0};
    metrics_set(&metrics, "reward/part", 1.5);
    metrics_set(&metrics, "actor/kl", NAN);
    EventFile *file = event_file_open(scratch_path("events"), 7);
    assert_non_null(file);
    assert_int_equal(event_file_append(file, 7, &metrics), 0);
    event_file_close(file);
    metrics_free(&metrics);

    char *path = only_file(scratch_path("events"));
    size_t bytes, offset = 0;
    char *content = scratch_read(path, &bytes);
    Bytes version = next_record(content, bytes, &offset),
          start = next_record(content, bytes, &offset), step = next_record(content, bytes, &offset);
    assert_int_equal(offset, bytes);
    assert_true(holds(&version, "brain.Event:2"));
    assert_true(holds(&start, "\x10\x07\x3a\x02\x08\x01")); // step 7; session_log { status: START }
    assert_true(holds(&step, "\x0a\x0breward/part\x15"));
    assert_memory_equal(step.data + step.length - 4, "\0\0\xc0\x3f", 4); // 1.5
    assert_false(holds(&step, "actor/kl"));
    bytes_free(&version);
    bytes_free(&start);
    bytes_free(&step);
    release(content);
    release(path);
}

static void a_place_that_cannot_be_had_is_told(void **state)
{
    (void)state;
    scratch_write_text("file", "");
    assert_null(event_file_open(scratch_path("file/events"), 1));
    assert_failed(EXIT_CANNOT_CREATE, "file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_that_of_rfc_3720),
        cmocka_unit_test(a_step_is_one_record_of_its_finite_metrics),
        cmocka_unit_test(a_place_that_cannot_be_had_is_told),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
