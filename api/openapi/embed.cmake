# cmake -DOUT=FILE.cc -DFOLDER=api/openapi -DSCHEMAS=a.json;b.json -P embed.cmake: the JSON files as C++ text, so that the
# program needs no files beside it.
set(text "#include \"api/openapi/texts.h\"\n\nnamespace tidemill {\n\n")
file(READ ${FOLDER}/parameters.json parameters)
string(APPEND text "std::string_view openapi_parameters() {\n  return R\"~~~(${parameters})~~~\";\n}\n\n")
file(READ ${FOLDER}/examples.json examples)
string(APPEND text "std::string_view openapi_examples() {\n  return R\"~~~(${examples})~~~\";\n}\n\n")
string(APPEND text "std::span<const std::string_view> openapi_schemas() {\n  static constexpr std::string_view kTexts[] = {\n")
foreach(file ${SCHEMAS})
  file(READ ${file} schemas)
  string(APPEND text "R\"~~~(${schemas})~~~\",\n")
endforeach()
string(APPEND text "  };\n  return kTexts;\n}\n\n}  // namespace tidemill\n")
file(WRITE ${OUT} "${text}")
