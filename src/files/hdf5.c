#define _DEFAULT_SOURCE // MAP_ANONYMOUS

#include "files/hdf5.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"

enum { ALIGNMENT_BYTES = 4096, METADATA_BLOCK = 65536 };
enum { PACKED_ROWS = 8192 };       // that are compressed together
enum { MEMORY_NEEDED = 16 << 20 }; // its caches, and those objects of a checkpoint that it holds

static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER;

// Asks the system itself: an allocator of a sanitizer takes a millisecond for so much.
static void see_memory(void)
{
    void *memory =
        mmap(NULL, MEMORY_NEEDED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        die(EXIT_NO_MEMORY, "out of memory: HDF5 needs %d bytes", MEMORY_NEEDED);
    munmap(memory, MEMORY_NEEDED);
}

void hdf5_enter(void)
{
    static bool started;
    pthread_mutex_lock(&door);
    see_memory();
    if (!started)
        H5dont_atexit(); // its exit handler crashes after a failed write
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    started = true;
}

void hdf5_leave(void)
{
    pthread_mutex_unlock(&door);
}

// Walked upward, the first entry is the innermost one.
static herr_t take_reason(unsigned depth, const H5E_error2_t *error, void *context)
{
    char *reason = context;
    if (depth == 0 && error->desc)
        snprintf(reason, 256, "%s", error->desc);
    return 0;
}

int hdf5_fail(ExitCode code, const char *doing, const char *path)
{
    char reason[256] = "no reason given";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_reason, reason);
    H5Eclear2(H5E_DEFAULT);
    return fail(code, "cannot %s %s: HDF5: %s", doing, path, reason);
}

// Access list of our files.
static hid_t make_access(void)
{
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_V18);
    H5Pset_alignment(list, HDF5_ALIGNED_BYTES, ALIGNMENT_BYTES);
    H5Pset_meta_block_size(list, METADATA_BLOCK);
    H5Pset_file_locking(list, 0, 1);
    return list;
}

// Any call of HDF5 forgets why the one before failed, except these.
static void close_list(hid_t list)
{
    hid_t reasons = H5Eget_current_stack();
    H5Pclose(list);
    H5Eset_current_stack(reasons);
}

hid_t hdf5_open(const char *path)
{
    hid_t access = make_access();
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    close_list(access);
    return file;
}

hid_t hdf5_create(const char *path)
{
    hid_t access = make_access(), creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_obj_track_times(creation, 0);
    hid_t file = H5Fcreate(path, H5F_ACC_EXCL, creation, access);
    close_list(creation);
    close_list(access);
    return file;
}

static int make_groups(hid_t file, const char *name)
{
    char *path = duplicate(name);
    hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(creation, 0);
    int status = 0;
    for (char *slash = strchr(path + 1, '/'); slash && status >= 0;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        htri_t there = H5Lexists(file, path, H5P_DEFAULT);
        hid_t group =
            there != 0 ? there : H5Gcreate2(file, path, H5P_DEFAULT, creation, H5P_DEFAULT);
        status = group < 0 ? -1 : 0;
        if (there == 0 && group >= 0)
            H5Gclose(group);
        *slash = '/';
    }
    close_list(creation);
    release(path);
    return status;
}

hid_t hdf5_create_set(hid_t file, const char *name, hid_t type, hid_t space)
{
    if (make_groups(file, name) < 0)
        return -1;
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_layout(creation, H5D_CONTIGUOUS);
    H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
    H5Pset_obj_track_times(creation, 0);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    close_list(creation);
    return set;
}

hid_t hdf5_create_packed_set(hid_t file, const char *name, hid_t type, hsize_t rows)
{
    if (make_groups(file, name) < 0)
        return -1;
    hsize_t chunk = rows < PACKED_ROWS ? rows : PACKED_ROWS;
    hid_t space = H5Screate_simple(1, &rows, NULL), creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(creation, 0);
    if (rows > 0 && H5Zfilter_avail(H5Z_FILTER_DEFLATE) > 0) {
        H5Pset_chunk(creation, 1, &chunk);
        H5Pset_shuffle(creation); // exponents are alike, low digits are not
        H5Pset_deflate(creation, 6);
    }
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    close_list(creation);
    H5Sclose(space);
    return set;
}

static int write_attribute(hid_t object, const char *name, hid_t type, const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    int status = attribute < 0 ? -1 : H5Awrite(attribute, type, value);
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    return status;
}

int hdf5_write_text(hid_t object, const char *name, const char *text)
{
    size_t length = strlen(text);
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, length ? length : 1);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    int status = write_attribute(object, name, type, text);
    H5Tclose(type);
    return status;
}

int hdf5_write_integer(hid_t object, const char *name, int64_t value)
{
    return write_attribute(object, name, H5T_STD_I64LE, &value);
}

int hdf5_write_real(hid_t object, const char *name, double value)
{
    return write_attribute(object, name, H5T_IEEE_F64LE, &value);
}

char *hdf5_read_text(hid_t object, const char *name, size_t limit)
{
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return NULL;
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    size_t bytes = H5Tget_size(type);
    char *text = NULL;
    if (H5Tget_class(type) == H5T_STRING && !H5Tis_variable_str(type) && bytes <= limit &&
        H5Sget_simple_extent_npoints(space) == 1) {
        text = allocate(bytes + 1, 1);
        if (H5Aread(attribute, type, text) < 0) {
            release(text);
            text = NULL;
        }
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return text;
}
