# debian_tree.cmake - what a Debian package has besides what is installed; cpack runs it on the tree that
# becomes the package.
set(ROOT ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr)

# Debian's libraries lie where the loader looks.
file(GLOB PROGRAMS ${ROOT}/bin/*)
foreach(program ${PROGRAMS})
    file(RPATH_REMOVE FILE ${program})
endforeach()

set(PLACE ${ROOT}/share/doc/learn2ask)
file(COPY ${CPACK_L2A_CHANGELOG} DESTINATION ${PLACE})
execute_process(COMMAND gzip -9nf ${PLACE}/changelog COMMAND_ERROR_IS_FATAL ANY)
