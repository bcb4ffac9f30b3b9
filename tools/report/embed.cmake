# embed.cmake - writes the sources of a report's page as C: cmake -D OUTPUT=FILE.c -P embed.cmake
#
# NAME is a list of files, put one behind the other.
set(page report.html)
set(style report.css curves.css samples.css media.css)
set(script report.js curves.js samples.js)

function(as_bytes hex out)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "(................................................................................)"
        "\\1\n" bytes "${bytes}")
    set(${out} "${bytes}" PARENT_SCOPE)
endfunction()

file(WRITE ${OUTPUT}.tmp "#include \"tools/report_sources.h\"\n")
foreach(name page style script)
    set(text "")
    set(hex "")
    foreach(file ${${name}})
        file(READ ${CMAKE_CURRENT_LIST_DIR}/${file} part)
        file(READ ${CMAKE_CURRENT_LIST_DIR}/${file} part_hex HEX)
        string(APPEND text "${part}")
        string(APPEND hex "${part_hex}")
    endforeach()
    string(SHA256 digest "${text}")
    as_bytes("${hex}00" bytes)
    as_bytes("${digest}" digest)
    file(APPEND ${OUTPUT}.tmp "static const unsigned char ${name}[] = {\n${bytes}};\n"
        "const ReportSource report_source_${name} = {(const char *)${name}, {${digest}}};\n")
endforeach()
file(RENAME ${OUTPUT}.tmp ${OUTPUT})
