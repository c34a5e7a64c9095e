# cmake -DOUT=FILE.cc -DSQL=a.sql;b.sql -P embed.cmake: the shipped views as C++ text, so that the program needs no
# files beside it.
set(text "#include \"consumers/views/definition.h\"\n\nnamespace tidemill::views {\nnamespace {\n\nstruct Builtin {\n  std::string_view name, sql;\n};\nconstexpr Builtin kBuiltins[] = {\n")
foreach(file ${SQL})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} sql)
  string(APPEND text "    {\"${name}\", R\"~~~(${sql})~~~\"},\n")
endforeach()
string(APPEND text "};\n\n}  // namespace\n\nstd::optional<std::string_view> builtin_sql(std::string_view name) {\n  for (const Builtin& b : kBuiltins) {\n    if (b.name == name) return b.sql;\n  }\n  return std::nullopt;\n}\n\nstd::vector<std::string_view> builtin_names() {\n  std::vector<std::string_view> out;\n  for (const Builtin& b : kBuiltins) out.push_back(b.name);\n  return out;\n}\n\n}  // namespace tidemill::views\n")
file(WRITE ${OUT} "${text}")
