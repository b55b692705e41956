# SPDX-License-Identifier: Apache-2.0
# Helpers that keep the folders' CMakeLists.txt to a few lines.

add_library(ferry_options INTERFACE)
target_include_directories(ferry_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(ferry_options INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
                       $<$<BOOL:${FERRY_WERROR}>:-Werror>)
target_compile_definitions(ferry_options INTERFACE FERRY_VERSION="${PROJECT_VERSION}")
if(FERRY_SANITIZE)
  target_compile_options(ferry_options INTERFACE -fsanitize=${FERRY_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(ferry_options INTERFACE -fsanitize=${FERRY_SANITIZE})
  if(FERRY_SANITIZE MATCHES "fuzzer-no-link")
    # The fuzzer follows the branches of the libraries. To trace those of the unit tests too only costs time.
    target_compile_options(ferry_options INTERFACE $<$<BOOL:$<TARGET_PROPERTY:FERRY_IS_TEST>>:-fno-sanitize=fuzzer-no-link>)
  endif()
endif()

# One static library per folder: ferry_library(name SOURCES a.cpp LINKS other)
function(ferry_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  if(arg_SOURCES)
    add_library(${name} STATIC ${arg_SOURCES})
    target_link_libraries(${name} PUBLIC ferry_options ${arg_LINKS})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ferry_options ${arg_LINKS})
  endif()
endfunction()

# Tests compile twice as fast with less optimization; what they test is in the libraries.
add_library(ferry_test_options INTERFACE)
target_compile_options(ferry_test_options INTERFACE $<IF:$<CONFIG:Debug>,-O0,-O1>)

# A test program registered with ctest: ferry_test(name LABEL unit SOURCES … LINKS …)
function(ferry_test name)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "SOURCES;LINKS;ARGS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ferry_test_options ${arg_LINKS} GTest::gtest GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES FERRY_IS_TEST ON)
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABEL}" TIMEOUT ${arg_TIMEOUT})
  if(arg_LABEL STREQUAL unit)  # what runs under sanitizers
    if(NOT TARGET unit_tests)
      add_custom_target(unit_tests)
    endif()
    add_dependencies(unit_tests ${name})
  endif()
endfunction()

# Compiles each header alone. A source that includes its own header first proves the same, so that only the others are
# compiled here.
function(ferry_check_headers name)
  set(sources)
  foreach(header IN LISTS ARGN)
    string(REGEX REPLACE "\\.hpp$" ".cpp" own ${CMAKE_SOURCE_DIR}/${header})
    if(EXISTS ${own})
      file(STRINGS ${own} first REGEX "^#include" LIMIT_COUNT 1)
      if(first STREQUAL "#include \"${header}\"")
        continue()
      endif()
    endif()
    string(REPLACE "/" "_" stem ${header})
    set(source ${CMAKE_BINARY_DIR}/check_headers/${stem}.cpp)
    file(GENERATE OUTPUT ${source} CONTENT "#include \"${header}\"\n")
    list(APPEND sources ${source})
  endforeach()
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${sources})
  set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)
  target_compile_options(${name} PRIVATE -O0 -g0)
  target_link_libraries(${name} PRIVATE ferry_options fmt::fmt spdlog::spdlog nlohmann_json::nlohmann_json
                        PkgConfig::LIBEVENT PkgConfig::SPANDSP)
endfunction()

# Makes a header of C++ constants of files: ferry_embed(x.hpp NAMESPACE n FILES a.js b.css). The header lies in the binary folder.
function(ferry_embed header)
  cmake_parse_arguments(arg "" "NAMESPACE" "FILES" ${ARGN})
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${header})
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -D OUT=${out} -D NAMESPACE=${arg_NAMESPACE} "-D FILES=${arg_FILES}" -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${arg_FILES} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    VERBATIM
    COMMENT "Constants of ${header}")
endfunction()

# Compiles DIR/STEM.bpf.c for BPF and makes STEM.skel.h of it in the binary folder: ferry_bpf_skeleton(a/x.bpf.c name). The
# compiler says which headers it read, so that none has to be listed.
function(ferry_bpf_skeleton source name)
  get_filename_component(stem ${source} NAME_WE)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-multiarch OUTPUT_VARIABLE multiarch OUTPUT_STRIP_TRAILING_WHITESPACE
                  ERROR_QUIET)
  if(NOT multiarch)
    set(multiarch ${CMAKE_LIBRARY_ARCHITECTURE})
  endif()
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${stem}.bpf.o)
  set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/${stem}.skel.h)
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND ${BPF_CLANG} -O2 -g -Wall -Werror -fno-strict-aliasing -target bpf -mcpu=v3 -isystem /usr/include/${multiarch}
            -I ${CMAKE_SOURCE_DIR} -ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -MD -MT ${skeleton} -MF ${object}.d
            -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    COMMAND ${BPFTOOL} gen skeleton ${object} name ${name} > ${skeleton}
    DEPENDS ${source}
    DEPFILE ${object}.d
    COMMENT "BPF programs of ${source}")
endfunction()
