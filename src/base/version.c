#include "base/version.h"

#include <string.h>

const char *const version_text = L2A_VERSION;
const char *const version_summary = L2A_SUMMARY;
const char *const version_git = L2A_GIT;
const char *const version_compiler = "gcc " __VERSION__;
const char *const version_flags = L2A_FLAGS;

void version_print_line(const char *name, const char *text, Bytes *out)
{
    bytes_print(out, "%-10s %s\n", name, text);
}

void version_print_library(const char *name, const char *compiled, const char *running, Bytes *out)
{
    Bytes text = {0};
    bytes_append_text(&text, running ? running : "not found");
    if (!running || strcmp(compiled, running) != 0)
        bytes_print(&text, ", compiled with %s", compiled);
    version_print_line(name, text.data, out);
    bytes_free(&text);
}
