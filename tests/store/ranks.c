#include "tests/testing.h"

#include "tests/store/ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/regular.h"
#include "files/directory.h"
#include "tests/store/model.h"

Group world;
static char directory[256];

const char *path_of(const char *name)
{
    enum { BUFFERS = 4 };
    static char paths[BUFFERS][512];
    static int turn;
    char *path = paths[turn++ % BUFFERS];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

void expect_failure(ExitCode code, const char *part)
{
    if (fail_code() != code || !strstr(fail_message(), part))
        fail_msg("rank %d: failure %d '%s', expected %d '%s'", world.rank, (int)fail_code(),
                 fail_message(), (int)code, part);
}

void expect_done(int status)
{
    if (status)
        fail_msg("rank %d: %s", world.rank, fail_message());
}

void write_model(const Group *group, const char *path, uint32_t version)
{
    Model model = model_make(group, version);
    expect_done(checkpoint_write(group, path, model_content(&model)));
    model_free(&model);
}

void damage(const char *path, int64_t offset)
{
    Bytes file = {0};
    if (world.rank == 0) {
        expect_done(regular_read(path, SIZE_MAX, &file));
        file.data[offset] ^= 4;
        FILE *stream = fopen(path, "wb");
        assert_non_null(stream);
        assert_int_equal(fwrite(file.data, 1, file.length, stream), file.length);
        fclose(stream);
        bytes_free(&file);
    }
    group_barrier(&world);
}

void ranks_start(int *argc, char ***argv)
{
    group_start(argc, argv);
    world = group_world();
    const char *root = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/learn2ask-XXXXXX", root && root[0] ? root : "/tmp");
    if (world.rank == 0 && !mkdtemp(directory))
        die(EXIT_CANNOT_CREATE, "cannot make %s", directory);
    group_broadcast(&world, directory, sizeof directory, 0);
}

void ranks_stop(void)
{
    group_barrier(&world);
    if (world.rank == 0 && directory_remove_tree(directory))
        die_failed();
    group_free(&world);
    group_stop();
}
