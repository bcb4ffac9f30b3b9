// A journal of JSON lines that is made into HDF5 series.

#include <string.h>

#include "files/hdf5.h"
#include "files/metrics_file.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char series[256];
    hdf5_enter();
    H5set_free_list_limits(-1, -1, -1, -1, -1, -1); // half a megabyte a file is kept
    hdf5_leave();
    const char *path = fuzz_file((FuzzPart){(const char *)data, size});
    strcpy(series, fuzz_directory());
    strcat(series, "/m.h5");
    metrics_file_rebuild(path, series, NULL);
    return 0;
}
