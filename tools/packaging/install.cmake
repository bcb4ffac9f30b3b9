# What is handed to users, below the prefix:
#
#     bin                                 the programs
#     share/man                           pages of the manual, made of what they print
#     share/bash-completion/completions   completion of their command lines
#     share/learn2ask/inputs, jobs        examples, prompts, job scripts
#     share/learn2ask/modulefiles         for `module use`; none below /usr, which is in every PATH
#     share/doc/learn2ask                 licence and README
#
# A further program is one word in this list, and a --help as manpage.sh wants it.
set(PROGRAMS learn2ask l2a-convert l2a-tokens l2a-clinic l2a-show)
include(GNUInstallDirs)
set(SHARE ${CMAKE_INSTALL_DATADIR}/learn2ask)

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
foreach(program ${PROGRAMS})
    l2a_manual_page(${program}.1 ${program} --help)
endforeach()
l2a_manual_page(learn2ask.ini.5 learn2ask --settings-markdown)
add_custom_target(manual ALL DEPENDS ${PAGES})

# bash looks for a file of the program's name.
list(JOIN PROGRAMS " " L2A_PROGRAMS)
set(COMPLETIONS ${PROJECT_BINARY_DIR}/completions)
configure_file(tools/packaging/completion.bash ${COMPLETIONS}/learn2ask @ONLY)
foreach(program ${PROGRAMS})
    if(NOT program STREQUAL learn2ask)
        file(CREATE_LINK learn2ask ${COMPLETIONS}/${program} SYMBOLIC)
    endif()
    install(FILES ${COMPLETIONS}/${program}
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endforeach()

install(TARGETS ${PROGRAMS} RUNTIME)
install(DIRECTORY inputs DESTINATION ${SHARE})
install(PROGRAMS jobs/chain.sh jobs/many_nodes.sbatch jobs/one_node.sbatch
    jobs/requeue.sbatch jobs/seeds.sbatch DESTINATION ${SHARE}/jobs)
install(FILES jobs/mpi.sh DESTINATION ${SHARE}/jobs)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The prefix, which the module file names, is known when it is installed.
set(ROOT @ROOT@)
configure_file(tools/packaging/modulefile.in ${PROJECT_BINARY_DIR}/modulefile.in @ONLY)
install(CODE "
    if(NOT CMAKE_INSTALL_PREFIX STREQUAL \"/usr\")
        get_filename_component(ROOT \"\${CMAKE_INSTALL_PREFIX}\" ABSOLUTE)
        set(FILE \"${PROJECT_BINARY_DIR}/modulefile\")
        configure_file(\"\${FILE}.in\" \"\${FILE}\" @ONLY)
        file(INSTALL \"\${FILE}\" RENAME ${PROJECT_VERSION}
            DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${SHARE}/modulefiles/learn2ask\")
    endif()")
