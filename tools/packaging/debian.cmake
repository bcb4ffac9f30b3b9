# A Debian package: `cpack -G DEB` in the build directory, on the release that it is for. Dependencies
# are those of the libraries that the programs are linked with, and mpirun's; CUDA's libraries are
# looked for at run time and not asked for.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

# Who packs it: -DCPACK_PACKAGE_CONTACT='Name <address>', else whoever made the last commit.
set(L2A_CONTACT "")
set(L2A_CHANGED "")
if(GIT_FOUND)
    execute_process(COMMAND ${GIT_EXECUTABLE} -C ${PROJECT_SOURCE_DIR} log -1 "--format=%cn <%ce>"
        OUTPUT_VARIABLE L2A_CONTACT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    execute_process(COMMAND ${GIT_EXECUTABLE} -C ${PROJECT_SOURCE_DIR} log -1 --format=%cD
        OUTPUT_VARIABLE L2A_CHANGED OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT L2A_CHANGED)
    string(TIMESTAMP L2A_CHANGED "%a, %d %b %Y %H:%M:%S +0000" UTC)
endif()
set(CPACK_PACKAGE_CONTACT "${L2A_CONTACT}" CACHE STRING "who packs it: Name <address>")

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS openmpi-bin)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "gnuplot-nox, slurm-client")
set(CPACK_PACKAGE_DESCRIPTION
"learn2ask turns expert conversation logs into a language model that knows
which question to ask next and when it has asked enough. It cuts logs into
what was said so far and what came after, samples responses, judges them
against what the expert went on to ask, trains by GRPO and its relatives, and
evaluates.
.
It is one MPI program: no Python and no inference server at run time. It
reads and writes Hugging Face directories of Qwen2, Qwen3, Llama and SmolLM2
models, and runs on the CPUs of a laptop or of many nodes under Slurm.")
get_directory_property(L2A_GIT DIRECTORY src/base DEFINITION L2A_GIT)
configure_file(tools/packaging/changelog.in ${PROJECT_BINARY_DIR}/changelog @ONLY)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/tools/packaging/debian_tree.cmake)
set(CPACK_L2A_CHANGELOG ${PROJECT_BINARY_DIR}/changelog)
include(CPack)
