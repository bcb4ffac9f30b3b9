// libraries.c - here the headers of all libraries meet, for their versions and nothing else.
// iniparser has none to tell.

#define PCRE2_CODE_UNIT_WIDTH 8

#include "tasks/libraries.h"

#include <string.h>

#include <curl/curl.h>
#include <jansson.h>
#include <mpi.h>
#include <pcre2.h>
#include <utf8proc.h>
#include <xxhash.h>

#include "base/version.h"
#include "files/hdf5.h"
#include "kernels/kernels.h"
#include "parallel/collective.h"

enum { VERSION_BYTES = 32 };

#define QUOTED(text) #text
#define TEXT_OF(number) QUOTED(number)
#define NUMBERS(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)
#ifdef OPEN_MPI
#define MPI_COMPILED                                                                               \
    "Open MPI v" NUMBERS(OMPI_MAJOR_VERSION, OMPI_MINOR_VERSION, OMPI_RELEASE_VERSION)
#else
#define MPI_COMPILED "MPI " TEXT_OF(MPI_VERSION) "." TEXT_OF(MPI_SUBVERSION)
#endif

static void print_numbers(int major, int minor, int patch, char text[VERSION_BYTES])
{
    snprintf(text, VERSION_BYTES, "%d.%d.%d", major, minor, patch);
}

static void print_mpi(Bytes *out)
{
    char running[MPI_MAX_LIBRARY_VERSION_STRING];
    int length;
    MPI_Get_library_version(running, &length);
    running[strcspn(running, ",\n")] = 0; // the package and its day follow
    version_print_library("MPI", MPI_COMPILED, running, out);
}

static void print_hdf5(Bytes *out)
{
    unsigned major, minor, release;
    char running[VERSION_BYTES];
    hdf5_enter();
    H5get_libversion(&major, &minor, &release);
    hdf5_leave();
    print_numbers((int)major, (int)minor, (int)release, running);
    version_print_library("HDF5", NUMBERS(H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE), running,
                          out);
}

static void print_pcre2(Bytes *out)
{
    char running[64]; // "10.42 2022-12-11"
    pcre2_config(PCRE2_CONFIG_VERSION, running);
    running[strcspn(running, " ")] = 0;
    version_print_library("PCRE2", TEXT_OF(PCRE2_MAJOR) "." TEXT_OF(PCRE2_MINOR), running, out);
}

static void print_xxhash(Bytes *out)
{
    char running[VERSION_BYTES];
    int version = (int)XXH_versionNumber(); // 801 is 0.8.1
    print_numbers(version / 10000, version / 100 % 100, version % 100, running);
    version_print_library(
        "xxHash", NUMBERS(XXH_VERSION_MAJOR, XXH_VERSION_MINOR, XXH_VERSION_RELEASE), running, out);
}

void libraries_print(bool cuda, bool nccl, Bytes *out)
{
    print_mpi(out);
    print_hdf5(out);
    version_print_library("jansson", JANSSON_VERSION, jansson_version_str(), out);
    print_pcre2(out);
    version_print_library(
        "utf8proc", NUMBERS(UTF8PROC_VERSION_MAJOR, UTF8PROC_VERSION_MINOR, UTF8PROC_VERSION_PATCH),
        utf8proc_version(), out);
    print_xxhash(out);
    version_print_library("libcurl", LIBCURL_VERSION, curl_version_info(CURLVERSION_NOW)->version,
                          out);
    if (cuda)
        kernels_cuda_print_versions(out);
    if (nccl)
        collective_nccl_print_version(out);
}
