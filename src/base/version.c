#include "base/version.h"

const char *const version_text = L2A_VERSION;
const char *const version_git = L2A_GIT;
const char *const version_compiler = "gcc " __VERSION__;
