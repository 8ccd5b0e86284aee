# cmake -DROOT=... -DFILES=a,b -DOUTPUT=... -P embed.cmake: writes a C++ source that defines embedded_file().
string(REPLACE "," ";" FILES "${FILES}")
set(rows "")
foreach(path IN LISTS FILES)
  file(READ ${ROOT}/${path} text)
  string(APPEND rows "    {\"${path}\", R\"medlar(${text})medlar\"},\n")
endforeach()
file(WRITE ${OUTPUT} "// Made by kernels/gpu/embed.cmake.
#include \"kernels/gpu/embedded.h\"

#include \"base/assert.h\"

namespace medlar::gpu {
namespace {

struct File {
  std::string_view path, text;
};

constexpr File kFiles[] = {
${rows}};

}  // namespace

std::string_view embedded_file(std::string_view path) {
  for (const File& file : kFiles)
    if (file.path == path) return file.text;
  MEDLAR_ASSERT(false && \"a kernel includes a file that the build does not embed\");
  return {};
}

}  // namespace medlar::gpu
")
