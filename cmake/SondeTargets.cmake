# How a room, a product, a test, a fuzz target and a benchmark are declared.

# sonde_room_root(<name>): makes the include root of this folder, a directory that holds nothing but
# a link to it at its path below the source root ("common/" cut off).  Who does not link the room's
# library cannot include its headers.
function(sonde_room_root name out_root)
    file(RELATIVE_PATH room ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
    string(REGEX REPLACE "^common/" "" room ${room})
    set(root ${PROJECT_BINARY_DIR}/rooms/${name})
    cmake_path(GET room PARENT_PATH above)
    file(MAKE_DIRECTORY ${root}/${above})
    file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${root}/${room} SYMBOLIC)
    set(${out_root} ${root} PARENT_SCOPE)
endfunction()

# sonde_add_library(<name> [SOURCES ...] [PUBLIC ...] [PRIVATE ...])
#
# One library per folder, alias room::<name>.  Without SOURCES it is a header-only target.
function(sonde_add_library name)
    cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;PUBLIC;PRIVATE")
    sonde_room_root(${name} root)
    if(ARG_SOURCES)
        add_library(sonde_${name} STATIC ${ARG_SOURCES})
        target_include_directories(sonde_${name} PUBLIC ${root})
        target_link_libraries(sonde_${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
        sonde_compile_options(sonde_${name})
    else()
        add_library(sonde_${name} INTERFACE)
        target_include_directories(sonde_${name} INTERFACE ${root})
        target_link_libraries(sonde_${name} INTERFACE ${ARG_PUBLIC})
    endif()
    set_property(GLOBAL APPEND PROPERTY SONDE_ROOMS ${name})
    add_library(room::${name} ALIAS sonde_${name})
endfunction()

# sonde_add_product(<name> [HOOKS] ROOMS <room>... [LIBS <lib>...] [FOUND_BY_NAME <symbol>...])
#
# libsonde-<name>.so (and .a unless HOOKS) from the objects of its rooms, with the version script made
# from exports.txt.  Hooks stay unversioned, or the loader passes them over.  Others look for the symbols
# FOUND_BY_NAME at run time: an executable exports them when it has the static library in it.
function(sonde_add_product name)
    cmake_parse_arguments(PARSE_ARGV 1 ARG "HOOKS" "" "ROOMS;LIBS;FOUND_BY_NAME")
    file(STRINGS exports.txt exports REGEX "^[a-z_]")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS exports.txt)
    list(JOIN exports "; " exports)
    set(node SONDE_${PROJECT_VERSION_MAJOR})
    if(ARG_HOOKS)
        set(node "")
    endif()
    set(map ${CMAKE_CURRENT_BINARY_DIR}/${name}.map)
    file(CONFIGURE OUTPUT ${map} CONTENT "@node@ { global: @exports@; local: *; };\n" @ONLY)

    list(TRANSFORM ARG_ROOMS REPLACE "(.+)" "$<TARGET_OBJECTS:sonde_\\1>" OUTPUT_VARIABLE objects)
    set(made sonde-${name})
    add_library(sonde-${name} SHARED ${objects})
    target_link_options(sonde-${name} PRIVATE ${SONDE_LINK_HARDENING}
        LINKER:--version-script=${map},-z,nodelete)
    if(NOT SONDE_SANITIZE AND NOT SONDE_BUILD_FUZZERS)
        target_link_options(sonde-${name} PRIVATE LINKER:-z,defs)
    endif()
    set_target_properties(sonde-${name} PROPERTIES LINK_DEPENDS ${map} EXPORT_NAME ${name}
        VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
    if(NOT ARG_HOOKS)
        add_library(sonde-${name}-static STATIC ${objects})
        set_target_properties(sonde-${name}-static PROPERTIES
            OUTPUT_NAME sonde-${name} EXPORT_NAME ${name}-static)
        list(APPEND made sonde-${name}-static)
        list(TRANSFORM ARG_FOUND_BY_NAME PREPEND "-Wl,--export-dynamic-symbol=")
        target_link_options(sonde-${name}-static INTERFACE ${ARG_FOUND_BY_NAME})
        list(JOIN ARG_FOUND_BY_NAME " " static_flags)
        add_library(Sonde::${name}-static ALIAS sonde-${name}-static)
    endif()
    foreach(lib IN LISTS made)
        set_target_properties(${lib} PROPERTIES LINKER_LANGUAGE C)
        target_link_libraries(${lib} PRIVATE ${ARG_LIBS})
        target_link_options(${lib} PUBLIC ${SONDE_SANITIZE_FLAGS})
        target_include_directories(${lib} INTERFACE
            $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
            $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/common/base/include>
            $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    endforeach()
    add_library(Sonde::${name} ALIAS sonde-${name})
    install(TARGETS ${made} EXPORT SondeTargets)
    install(DIRECTORY include/sonde TYPE INCLUDE)
    file(RELATIVE_PATH to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
    configure_file(${PROJECT_SOURCE_DIR}/cmake/sonde.pc.in sonde-${name}.pc @ONLY)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sonde-${name}.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
    set_property(GLOBAL APPEND PROPERTY SONDE_PRODUCTS ${name})
endfunction()

# sonde_install_package(): the public headers every product shares and the CMake package.
function(sonde_install_package)
    include(CMakePackageConfigHelpers)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/common/base/include/sonde TYPE INCLUDE)
    get_property(products GLOBAL PROPERTY SONDE_PRODUCTS)
    if(NOT products)
        return()
    endif()
    set(where ${CMAKE_INSTALL_LIBDIR}/cmake/Sonde)
    install(EXPORT SondeTargets NAMESPACE Sonde:: DESTINATION ${where})
    configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/SondeConfig.cmake.in
        ${PROJECT_BINARY_DIR}/SondeConfig.cmake INSTALL_DESTINATION ${where})
    write_basic_package_version_file(${PROJECT_BINARY_DIR}/SondeConfigVersion.cmake
        COMPATIBILITY SameMajorVersion)
    install(FILES ${PROJECT_BINARY_DIR}/SondeConfig.cmake ${PROJECT_BINARY_DIR}/SondeConfigVersion.cmake
        DESTINATION ${where})
endfunction()

# sonde_add_program(<name> SOURCES ... LIBS ...): an executable of ours in bin/.
function(sonde_add_program name)
    cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;LIBS")
    add_executable(${name} ${ARG_SOURCES})
    sonde_compile_options(${name})
    target_link_options(${name} PRIVATE ${SONDE_LINK_HARDENING} -pie)
    target_link_libraries(${name} PRIVATE ${ARG_LIBS})
endfunction()

# sonde_add_tests(<room> <module>... [LIBS ...])
#
# tests/unit/<room path>/test_<module>.c, one executable each, linked with the room and the test
# support, registered with label `unit` (and the room's name, for `./dev test <room>`).
function(sonde_add_tests room)
    if(NOT SONDE_BUILD_TESTS)
        return()
    endif()
    cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "LIBS")
    file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
    string(REGEX REPLACE "^common/" "" path ${path})
    string(REGEX REPLACE "/src$" "" path ${path})
    foreach(module IN LISTS ARG_UNPARSED_ARGUMENTS)
        set(test test_${room}_${module})
        add_executable(${test} ${PROJECT_SOURCE_DIR}/tests/unit/${path}/test_${module}.c)
        sonde_compile_options(${test})
        set_target_properties(${test} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
        target_link_libraries(${test} PRIVATE room::test_support room::${room} ${ARG_LIBS})
        add_test(NAME ${room}.${module} COMMAND ${test})
        set_tests_properties(${room}.${module} PROPERTIES LABELS "unit;${room}" TIMEOUT 600)
    endforeach()
endfunction()

# sonde_add_fuzzer(<name> LIBS ...)
#
# tests/fuzz/fuzz_<name>.c.  With SONDE_BUILD_FUZZERS a libFuzzer program; always a replay program that
# runs every file of tests/fuzz/corpus/<name>/ through the same entry, registered with label `fuzz`.
function(sonde_add_fuzzer name)
    cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "LIBS")
    set(source ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_${name}.c)
    if(SONDE_BUILD_FUZZERS)
        add_executable(fuzz_${name} ${source})
        sonde_compile_options(fuzz_${name})
        set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
        target_link_libraries(fuzz_${name} PRIVATE ${ARG_LIBS})
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    endif()
    if(SONDE_BUILD_TESTS)
        add_executable(replay_${name} ${source} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.c)
        sonde_compile_options(replay_${name})
        set_target_properties(replay_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
        target_link_libraries(replay_${name} PRIVATE ${ARG_LIBS})
        add_test(NAME fuzz.${name}
            COMMAND replay_${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
        set_tests_properties(fuzz.${name} PROPERTIES LABELS "fuzz" TIMEOUT 600)
    endif()
endfunction()

# sonde_add_bench(<name> LIBS ...): bench/bench_<name>.c; prints one JSON object a line.
function(sonde_add_bench name)
    cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "LIBS")
    add_executable(bench_${name} ${PROJECT_SOURCE_DIR}/bench/bench_${name}.c)
    sonde_compile_options(bench_${name})
    target_link_libraries(bench_${name} PRIVATE ${ARG_LIBS})
endfunction()
