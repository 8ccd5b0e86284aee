// Python's numbers as text, text as numbers, and integer arithmetic that notices overflow.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace medlar::jinja {

// repr(): the shortest digits that read back as the same number, "1.0", "1e+16", "inf", "nan".
std::string real_text(double value);

// float(text): nullopt where Python raises ValueError.
std::optional<double> parse_real(std::string_view text);
// int(text, base): nullopt where Python raises ValueError. Throws Error(limit) beyond 64 bits.
std::optional<std::int64_t> parse_integer(std::string_view text, int base);

// Digits of a finite number that is not negative: style 'e', 'f' or 'g'; `alternate` keeps the point and
// zeros.
std::string real_digits(double value, char style, int precision, bool alternate);
// round(value, digits): to the nearest, ties to even.
double round_real(double value, std::int64_t digits);
std::int64_t round_integer(std::int64_t value, std::int64_t digits);

// Towards zero. Throws Error(usage) for NaN and infinity, Error(limit) beyond 64 bits.
std::int64_t truncate(double value);

// Exact results; Error(limit) where they do not fit 64 bits. Divisions round down; divisors are not 0.
std::int64_t add(std::int64_t a, std::int64_t b);
std::int64_t subtract(std::int64_t a, std::int64_t b);
std::int64_t multiply(std::int64_t a, std::int64_t b);
std::int64_t floor_divide(std::int64_t a, std::int64_t b);
std::int64_t modulo(std::int64_t a, std::int64_t b);
std::int64_t power(std::int64_t base, std::int64_t exponent);  // exponent >= 0
double floor_divide(double a, double b);
double modulo(double a, double b);

}  // namespace medlar::jinja
