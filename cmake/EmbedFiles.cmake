# Writes the files of a folder into one C++ source, so that the binary serves them from memory. Needs CMake alone.
# cmake -DROOT=folder -DFILES=a,b/c -DOUTPUT=file.cpp -P EmbedFiles.cmake
# The source defines qwen::page_assets() as declared in server/handlers/page_assets.h.
set(TYPE_html "text/html; charset=utf-8")
set(TYPE_css "text/css; charset=utf-8")
set(TYPE_js "text/javascript; charset=utf-8")
set(TYPE_svg "image/svg+xml")
set(TYPE_json "application/json")

string(REPLACE "," ";" files "${FILES}")
set(entries "")
foreach(file IN LISTS files)
  get_filename_component(extension "${file}" LAST_EXT)
  string(SUBSTRING "${extension}" 1 -1 extension)
  if(NOT DEFINED TYPE_${extension})
    message(FATAL_ERROR "${file}: no content type is known for .${extension}; add it to EmbedFiles.cmake")
  endif()
  file(READ "${ROOT}/${file}" bytes HEX)
  string(LENGTH "${bytes}" size)
  math(EXPR size "${size} / 2")
  string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${bytes}")
  file(SHA256 "${ROOT}/${file}" digest)
  string(SUBSTRING "${digest}" 0 32 digest)
  string(APPEND entries "    {\"${file}\", \"${TYPE_${extension}}\", \"\\\"${digest}\\\"\", {\"${bytes}\", ${size}}},\n")
endforeach()

file(WRITE "${OUTPUT}"
  "// Generated from web/ by cmake/EmbedFiles.cmake.\n#include \"server/handlers/page_assets.h\"\n\nnamespace qwen {\nnamespace {\n\n"
  "constexpr PageAsset kAssets[] = {\n${entries}};\n\n}  // namespace\n\n"
  "std::span<const PageAsset> page_assets() { return kAssets; }\n\n}  // namespace qwen\n")
