# SPDX-License-Identifier: Apache-2.0
# Writes files as constants of C++: cmake -D OUT=x.hpp -D NAMESPACE=n "-D FILES=a.js;b.css" -P embed.cmake. The constant of
# `app.js` is `app_js`.
set(text "// Made by cmake/embed.cmake.\n#pragma once\n\n#include <string_view>\n\nnamespace ${NAMESPACE} {\n")
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  string(MAKE_C_IDENTIFIER ${name} name)
  file(READ ${file} octets HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," octets "${octets}")
  string(APPEND text "inline constexpr char ${name}_octets[] = {${octets}};\n"
         "inline constexpr std::string_view ${name}{${name}_octets, sizeof ${name}_octets};\n")
endforeach()
file(WRITE ${OUT} "${text}}  // namespace ${NAMESPACE}\n")
