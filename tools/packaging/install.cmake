# What is handed to users: the programs, and the pages of the manual that are made of what they print.
# A further program is one word in this list, and a --help as manpage.sh wants it.
set(PROGRAMS learn2ask l2a-convert l2a-tokens l2a-clinic)

# The day of the last commit; without git today, or SOURCE_DATE_EPOCH's.
find_package(Git QUIET)
set(L2A_DATE "")
if(GIT_FOUND)
    execute_process(COMMAND ${GIT_EXECUTABLE} -C ${PROJECT_SOURCE_DIR} log -1 --format=%cs
        OUTPUT_VARIABLE L2A_DATE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT L2A_DATE)
    string(TIMESTAMP L2A_DATE %Y-%m-%d UTC)
endif()

# man/manN/NAME.N below the build directory, where `man -M build/man` finds it, and compressed.
list(TRANSFORM PROGRAMS APPEND "(1)" OUTPUT_VARIABLE ALL_PAGES)
list(APPEND ALL_PAGES "learn2ask.ini(5)")
list(JOIN ALL_PAGES " " ALL_PAGES)
set(PAGES "")
function(l2a_manual_page page program option)
    string(REGEX REPLACE ".*\\." "" section ${page})
    set(folder ${PROJECT_BINARY_DIR}/man/man${section})
    set(maker ${PROJECT_SOURCE_DIR}/tools/packaging/manpage.sh)
    file(MAKE_DIRECTORY ${folder})
    add_custom_command(OUTPUT ${folder}/${page} ${folder}/${page}.gz
        COMMAND ${maker} ${page} ${PROJECT_VERSION} ${L2A_DATE} ${ALL_PAGES}
            $<TARGET_FILE:${program}> ${option} > ${folder}/${page}
        COMMAND gzip -9nkf ${folder}/${page}
        DEPENDS ${program} ${maker} VERBATIM)
    set(PAGES ${PAGES} ${folder}/${page}.gz PARENT_SCOPE)
    install(FILES ${folder}/${page}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endfunction()

include(GNUInstallDirs)
foreach(program ${PROGRAMS})
    l2a_manual_page(${program}.1 ${program} --help)
endforeach()
l2a_manual_page(learn2ask.ini.5 learn2ask --settings-markdown)
add_custom_target(manual ALL DEPENDS ${PAGES})

install(TARGETS ${PROGRAMS} RUNTIME)
