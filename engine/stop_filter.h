// Stop strings in a stream: passes text on as soon as it cannot become part of a stop string any more.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace medlar {

class StopFilter {
 public:
  // Empty strings never match.
  explicit StopFilter(std::vector<std::string> stops);

  // Adds text; returns what is now certain. Once stopped() it returns nothing more, and the stop string
  // itself is never passed on.
  std::string feed(std::string_view text);
  // The end of the stream: what was held back.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace medlar
