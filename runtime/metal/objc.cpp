#include "runtime/metal/objc.h"

namespace medlar::runtime::metal {

#define MEDLAR_LOAD(member, symbol, ...) , member(library_.get<__VA_ARGS__>(symbol))
ObjectiveC::ObjectiveC()
    : library_({"/usr/lib/libobjc.A.dylib"}, "Metal is part of macOS alone; use --device cpu")
          MEDLAR_OBJC_FUNCTIONS(MEDLAR_LOAD) {}
#undef MEDLAR_LOAD

}  // namespace medlar::runtime::metal
