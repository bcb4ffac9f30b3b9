// show_checkpoint.c - l2a-show checkpoint: what is in a checkpoint, and whether it is whole.

#include <ctype.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fail.h"
#include "files/checkpoint_file.h"
#include "files/run_files.h"
#include "input/settings.h"
#include "tools/show_commands.h"
#include "tools/show_text.h"

enum { NAME_COLUMNS = 46, SHAPE_COLUMNS = 16 };

static int64_t elements_of(const CheckpointTensor *tensor)
{
    return stored_type_elements(tensor->type, tensor->rank, tensor->shape);
}

// Bytes of the group's name: all of the path before the last slash.
static size_t group_of(const char *name)
{
    return (size_t)(strrchr(name, '/') - name);
}

static bool same_group(const char *a, const char *b)
{
    return group_of(a) == group_of(b) && strncmp(a, b, group_of(a)) == 0;
}

// The name of a tensor with the number of its layer, the first number between dots, as '*': those
// of all layers are alike.
static void append_pattern(const char *name, Bytes *out)
{
    const char *dot = name;
    while ((dot = strchr(dot, '.')) && !isdigit((unsigned char)dot[1]))
        dot++;
    size_t digits = dot ? strspn(dot + 1, "0123456789") : 0;
    if (dot && dot[1 + digits] == '.')
        bytes_print(out, "%.*s.*%s", (int)(dot - name), name, dot + 1 + digits);
    else
        bytes_append_text(out, name);
}

static void append_shape(const CheckpointTensor *tensor, Bytes *out)
{
    bytes_append_text(out, "[");
    for (int i = 0; i < tensor->rank; i++)
        bytes_print(out, "%s%lld", i > 0 ? ", " : "", (long long)tensor->shape[i]);
    bytes_print(out, "]");
}

static void print_tensor(const CheckpointTensor *tensor, const char *name, int64_t count,
                         Bytes *out)
{
    Bytes clean = {0}, shape = {0};
    show_text_line(&clean, name);
    append_shape(tensor, &shape);
    bytes_print(out, "    %-*s %-*s %-5s %10s", NAME_COLUMNS, clean.data, SHAPE_COLUMNS, shape.data,
                stored_type_name(tensor->type),
                show_text_bytes(checkpoint_tensor_bytes(tensor)).text);
    if (count > 1)
        bytes_print(out, "  of each of %lld", (long long)count);
    bytes_append_text(out, "\n");
    bytes_free(&clean);
    bytes_free(&shape);
}

typedef struct {
    Bytes name; // owned: the pattern
    int64_t count;
    CheckpointTensor tensor;
} Kind;

static bool same_shape(const CheckpointTensor *a, const CheckpointTensor *b)
{
    return a->type == b->type && a->rank == b->rank &&
           memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0;
}

// Tensors [first, end) of a group, those of layers that are alike in one line.
static void print_kinds(const CheckpointFile *file, int64_t first, int64_t end, Bytes *out)
{
    Kind *kinds = NULL;
    size_t count = 0, capacity = 0;
    for (int64_t i = first; i < end; i++) {
        const CheckpointTensor *tensor = checkpoint_file_tensor(file, i);
        Bytes pattern = {0};
        append_pattern(tensor->name + group_of(tensor->name) + 1, &pattern);
        size_t k = 0;
        while (k < count && (strcmp(kinds[k].name.data, pattern.data) != 0 ||
                             !same_shape(&kinds[k].tensor, tensor)))
            k++;
        if (k == count) {
            grow((void **)&kinds, &capacity, count + 1, sizeof *kinds);
            kinds[count++] = (Kind){.name = pattern, .tensor = *tensor};
        } else {
            bytes_free(&pattern);
        }
        kinds[k].count++;
    }
    for (size_t k = 0; k < count; k++) {
        print_tensor(&kinds[k].tensor, kinds[k].name.data, kinds[k].count, out);
        bytes_free(&kinds[k].name);
    }
    release(kinds);
}

static void print_group(const CheckpointFile *file, int64_t first, int64_t end, bool all,
                        Bytes *out)
{
    const CheckpointTensor *tensor = checkpoint_file_tensor(file, first);
    bool types[STORED_TYPE_COUNT] = {0};
    int64_t elements = 0, bytes = 0;
    Bytes path = {0}, name = {0}, list = {0};
    for (int64_t i = first; i < end; i++) {
        const CheckpointTensor *one = checkpoint_file_tensor(file, i);
        elements += elements_of(one);
        bytes += checkpoint_tensor_bytes(one);
        types[one->type] = true;
    }
    for (int type = 0; type < STORED_TYPE_COUNT; type++)
        if (types[type])
            bytes_print(&list, "%s%s", list.length > 0 ? ", " : "",
                        stored_type_name((StoredType)type));
    bytes_append(&path, tensor->name, group_of(tensor->name));
    show_text_line(&name, path.length > 0 ? path.data : "/");
    bytes_print(out, "%-16s %6lld tensors %14lld elements  %-9s %10s\n", name.data,
                (long long)(end - first), (long long)elements, list.data,
                show_text_bytes(bytes).text);
    for (int64_t i = first; i < end && all; i++) {
        const CheckpointTensor *one = checkpoint_file_tensor(file, i);
        print_tensor(one, one->name + group_of(one->name) + 1, 1, out);
    }
    // Moments have the shapes of the weights.
    if (!all && strncmp(tensor->name, "/optimizer/", 11) != 0)
        print_kinds(file, first, end, out);
    bytes_free(&path);
    bytes_free(&name);
    bytes_free(&list);
}

static void print_tensors(const CheckpointFile *file, bool all, Bytes *out)
{
    int64_t count = checkpoint_file_count(file);
    for (int64_t first = 0, end; first < count; first = end) {
        const char *name = checkpoint_file_tensor(file, first)->name;
        for (end = first + 1; end < count; end++)
            if (!same_group(name, checkpoint_file_tensor(file, end)->name))
                break;
        print_group(file, first, end, all, out);
    }
}

static void print_attribute(const CheckpointAttribute *attribute, Bytes *out)
{
    Bytes name = {0};
    show_text_line(&name, attribute->name);
    bytes_print(out, "  %-20s ", name.data);
    if (attribute->kind == ATTRIBUTE_TEXT)
        show_text_line(out, attribute->text);
    else if (attribute->kind == ATTRIBUTE_INTEGER)
        bytes_print(out, "%lld", (long long)attribute->integer);
    else
        bytes_print(out, "%.9g", attribute->real);
    bytes_append_text(out, "\n");
    bytes_free(&name);
}

// The settings, those that are not the defaults or all.
static void print_settings(const CheckpointFile *file, bool all, Bytes *out)
{
    const CheckpointAttribute *stored = checkpoint_file_attribute(file, "settings");
    Settings settings, defaults;
    Bytes faults = {0};
    if (!stored || stored->kind != ATTRIBUTE_TEXT)
        return;
    bytes_print(out, "settings%s\n", all ? "" : " that are not defaults");
    if (settings_read_text(&settings, stored->text, strlen(stored->text), "its settings", NULL, 0,
                           &faults) != 0) {
        bytes_print(out, "  cannot be read: %s\n", fail_message());
        bytes_free(&faults);
        return;
    }
    CHECK(settings_read_text(&defaults, "", 0, "", NULL, 0, &faults) == 0, "%s", fail_message());
    for (int64_t i = 0; i < settings_count; i++) {
        Bytes value = {0}, initial = {0}, clean = {0};
        setting_print_quoted(&settings_table[i], &settings, &value);
        setting_print_quoted(&settings_table[i], &defaults, &initial);
        show_text_line(&clean, value.data);
        if (all || strcmp(value.data, initial.data) != 0)
            bytes_print(out, "  %s.%s = %s\n", settings_table[i].section, settings_table[i].key,
                        clean.data);
        bytes_free(&value);
        bytes_free(&initial);
        bytes_free(&clean);
    }
    settings_free(&settings);
    settings_free(&defaults);
    bytes_free(&faults);
}

static void print_head(const CheckpointFile *file, Bytes *out)
{
    struct stat status;
    Bytes path = {0};
    const CheckpointAttribute *step = checkpoint_file_attribute(file, "step");
    show_text_line(&path, checkpoint_file_path(file));
    bytes_print(out, "%s: ", path.data);
    if (step && step->kind == ATTRIBUTE_INTEGER)
        bytes_print(out, "step %lld, ", (long long)step->integer);
    if (stat(checkpoint_file_path(file), &status) == 0)
        bytes_append_text(out, show_text_bytes((int64_t)status.st_size).text);
    bytes_append_text(out, "\n\n");
    bytes_free(&path);
}

static void print_file(const CheckpointFile *file, bool all, Bytes *out)
{
    print_head(file, out);
    print_tensors(file, all, out);
    bytes_append_text(out, "\nattributes\n");
    for (int64_t i = 0; i < checkpoint_file_attribute_count(file); i++)
        if (strcmp(checkpoint_file_attribute_at(file, i)->name, "settings") != 0)
            print_attribute(checkpoint_file_attribute_at(file, i), out);
    bytes_append_text(out, "\n");
    print_settings(file, all, out);
    bytes_append_text(out, "\n");
}

// Every block against its checksum, which may take minutes: what was said is seen before.
static int verify(const char *path, Bytes *out)
{
    if (show_text_flush(out) != 0)
        return -1;
    double since = clock_now();
    CheckpointFile *file = checkpoint_file_open(path, CHECKPOINT_VERIFY_ALL);
    if (!file)
        return fail_context("this checkpoint must not be used");
    bytes_print(out, "whole: all of its %lld blocks fit their checksums (%s)\n",
                (long long)checkpoint_file_trailer(file)->block_count,
                show_text_time(clock_now() - since).text);
    checkpoint_file_close(file);
    return 0;
}

int show_checkpoint(const ShowArguments *arguments, Bytes *out)
{
    char *path = run_files_resolve(arguments->operands[0], false);
    CheckpointFile *file = path ? checkpoint_file_open(path, CHECKPOINT_VERIFY_STRUCTURE) : NULL;
    int status = file ? 0 : -1;
    if (file)
        print_file(file, arguments->all, out);
    checkpoint_file_close(file);
    if (status == 0)
        status = verify(path, out);
    release(path);
    return status;
}
