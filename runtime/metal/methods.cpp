#include "runtime/metal/methods.h"

#include "base/error.h"

namespace medlar::runtime::metal {

bool responds(const ObjectiveC& objc, Id object, Selector selector) {
  using Ask = bool (*)(Id, Selector, Selector);
  return reinterpret_cast<Ask>(objc.send)(object, objc.selector("respondsToSelector:"), selector);
}

void check_method(const ObjectiveC& objc, Id object, Selector selector, const char* row,
                  const std::string& expected) {
  const Implementation method = objc.method_of(objc.class_of(object), selector);
  if (!method && responds(objc, object, selector)) return;  // forwarded, as Metal's debug layers may
  if (!method)
    throw Error(ErrorKind::device, fmt::format("this system's Metal has no {}", row),
                "update macOS, or use --device cpu");
  const char* const types = objc.types_of(method);
  if (types && comparable(types) != comparable(expected))
    throw Error(ErrorKind::device,
                fmt::format("{} of this system's Metal takes {}, not {}", row, comparable(types),
                            comparable(expected)),
                "report it, and use --device cpu");
}

#define MEDLAR_INITIALIZE(member, sign, owner, selector, ...) \
  , member(objc_functions, #sign "[" #owner " " selector "]", selector)
Methods::Methods(const ObjectiveC& objc_functions)
    : objc(objc_functions) MEDLAR_METAL_METHODS(MEDLAR_INITIALIZE) {}
#undef MEDLAR_INITIALIZE

}  // namespace medlar::runtime::metal
