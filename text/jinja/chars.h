// What Python's str knows about characters: classes, case mappings and what it leaves unescaped in repr().
#pragma once

#include <string>
#include <string_view>

namespace medlar::jinja {

bool is_space(char32_t c);
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_alnum(char32_t c);
bool is_lower(char32_t c);
bool is_upper(char32_t c);
bool is_title(char32_t c);
bool is_printable(char32_t c);
bool is_identifier_start(char32_t c);
bool is_identifier_part(char32_t c);
// Ends a line for str.splitlines.
bool is_line_end(char32_t c);
// 0 to 9 for a decimal digit of any script, else -1.
int decimal_value(char32_t c);

// Some characters have a case, and all that do have that one.
bool all_lower(std::string_view text);
bool all_upper(std::string_view text);
// str.istitle: capitals start the words, and only they.
bool all_title(std::string_view text);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_folded(std::string_view text);
// The first character in title case, the rest in lower case.
std::string to_capitalized(std::string_view text);
// str.title: every run of cased characters capitalized.
std::string to_title(std::string_view text);
std::string swap_case(std::string_view text);

}  // namespace medlar::jinja
