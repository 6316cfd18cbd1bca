# sonde_embed_files(<out.c> <path>=<file>...)
#
# Makes <out.c> in the build tree, which defines the ui_files table of dashboards/ui/ui_files.h:
# every <file> under its URL <path>.  The tool is cmake/embed_files.c, built for this machine.
function(sonde_embed_files out)
    if(NOT TARGET sonde_embed_files)
        add_executable(sonde_embed_files ${PROJECT_SOURCE_DIR}/cmake/embed_files.c)
        target_link_libraries(sonde_embed_files PRIVATE dep::zlib)
        sonde_compile_options(sonde_embed_files)
        set_target_properties(sonde_embed_files PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tools)
    endif()
    set(files ${ARGN})
    list(TRANSFORM files REPLACE "^[^=]*=" "")
    add_custom_command(OUTPUT ${out}
        COMMAND sonde_embed_files ${out} ${ARGN}
        DEPENDS sonde_embed_files ${files}
        VERBATIM COMMENT "Embedding the files of the web UI")
endfunction()
