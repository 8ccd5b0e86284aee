// What the head of an HTTP/1 request must look like, byte by byte (RFC 9112), before anything else reads it.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace medlar::server {

// A request that breaks HTTP's rules: answered with the status, then the connection is closed.
class Malformed : public std::runtime_error {
 public:
  Malformed(int status, const std::string& reason) : std::runtime_error(reason), status_(status) {}
  int status() const { return status_; }

 private:
  int status_;
};

// Bytes of the head with its empty line, or 0: more must come. `seen` bytes were looked at before. Throws
// Malformed as soon as a byte cannot be part of a head, so that a client that ends lines in bare LF need not
// wait for a timeout.
std::size_t head_length(std::string_view received, std::size_t seen);

// `head` ends with its empty line. Refused are: anything but METHOD /target HTTP/1.x, folded lines, space
// before a colon, control characters, a length that is not all digits or given twice or beside chunks,
// any transfer coding but one "chunked", and more than `max_fields` fields.
void check_head(std::string_view head, std::size_t max_fields);

}  // namespace medlar::server
