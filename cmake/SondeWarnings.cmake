# One warning set and one set of hardening flags for everything we compile.
set(SONDE_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wwrite-strings -Wvla -Wformat=2 -Wundef)
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
    list(APPEND SONDE_WARNINGS -Wthread-safety) # checks the annotations of base/mutex.h
endif()
if(SONDE_WERROR)
    list(APPEND SONDE_WARNINGS -Werror)
endif()

set(SONDE_HARDENING -fno-omit-frame-pointer -fstack-protector-strong -fno-plt)
set(SONDE_LINK_HARDENING LINKER:-z,now,-z,relro,-z,noexecstack)
if(NOT SONDE_SANITIZE AND NOT SONDE_BUILD_FUZZERS AND CMAKE_BUILD_TYPE MATCHES "Rel")
    list(APPEND SONDE_HARDENING -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    # A product takes its rooms whole: what it never calls of them is left out.
    list(APPEND SONDE_HARDENING -ffunction-sections -fdata-sections)
    list(APPEND SONDE_LINK_HARDENING LINKER:--gc-sections)
endif()

# sonde_compile_options(<target>): language level, warnings, hardening, sanitizer.
function(sonde_compile_options target)
    set_target_properties(${target} PROPERTIES
        C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
        C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE SONDE_VERSION="${PROJECT_VERSION}")
    target_compile_options(${target} PRIVATE ${SONDE_WARNINGS} ${SONDE_HARDENING} ${SONDE_SANITIZE_FLAGS})
    target_link_options(${target} PUBLIC ${SONDE_SANITIZE_FLAGS})
endfunction()
