// strftime, written out: the library's own follows the program's locale and its platform's extensions.
#include "text/jinja/strftime.h"

#include <array>

#include <fmt/format.h>

namespace medlar::jinja {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                      "May",       "June",     "July",     "August",
                                                      "September", "October",  "November", "December"};

template <std::size_t N>
std::string_view name_of(const std::array<std::string_view, N>& names, int index) {
  return index >= 0 && static_cast<std::size_t>(index) < N ? names[static_cast<std::size_t>(index)] : "?";
}

bool is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

struct IsoWeek {
  int year, week;
};

// The week with the year's first Thursday is week 1; weeks start on Monday.
IsoWeek iso_week(const std::tm& t) {
  const int weekday = (t.tm_wday + 6) % 7;  // Monday is 0
  const int year = t.tm_year + 1900;
  const int thursday = t.tm_yday + 3 - weekday;
  if (thursday < 0) {
    const int days = is_leap(year - 1) ? 366 : 365;
    return {year - 1, (thursday + days) / 7 + 1};
  }
  const int days = is_leap(year) ? 366 : 365;
  if (thursday >= days) return {year + 1, 1};
  return {year, thursday / 7 + 1};
}

// Days since 1970-01-01 of the proleptic Gregorian calendar.
std::int64_t days_since_epoch(const std::tm& t) {
  const std::int64_t year = std::int64_t{t.tm_year} + 1900 - 1;
  return year * 365 + year / 4 - year / 100 + year / 400 - 719162 + t.tm_yday;
}

class TimeFormatter {
 public:
  TimeFormatter(TextBuilder& out, const std::tm& time) : out_(out), time_(time) {}

  void run(std::string_view format) {
    for (std::size_t at = 0; at < format.size();) {
      const std::size_t percent = format.find('%', at);
      out_.append(format.substr(at, percent - at));
      if (percent == std::string_view::npos) return;
      at = percent + 1;
      flag_ = 0;
      if (at < format.size() && (format[at] == '-' || format[at] == '_' || format[at] == '0'))
        flag_ = format[at++];
      if (at == format.size() || !conversion(format[at])) {
        out_.append(format.substr(percent, at + 1 - percent));
      }
      if (at < format.size()) ++at;
    }
  }

 private:
  void number(int value, int width, char padding = '0') {
    const char fill = flag_ == '_' ? ' ' : (flag_ == '0' ? '0' : padding);
    std::string digits = fmt::format("{}", value);
    if (flag_ != '-') {
      while (static_cast<int>(digits.size()) < width) digits.insert(digits.begin(), fill);
    }
    out_.append(digits);
  }

  bool date(char c) {
    const int year = time_.tm_year + 1900;
    switch (c) {
      case 'Y':
        return number(year, 1), true;
      case 'y':
        return number(year % 100, 2), true;
      case 'C':
        return number(year / 100, 2), true;
      case 'm':
        return number(time_.tm_mon + 1, 2), true;
      case 'd':
        return number(time_.tm_mday, 2), true;
      case 'e':
        return number(time_.tm_mday, 2, ' '), true;
      case 'j':
        return number(time_.tm_yday + 1, 3), true;
      case 'B':
        return out_.append(name_of(kMonths, time_.tm_mon)), true;
      case 'b':
      case 'h':
        return out_.append(name_of(kMonths, time_.tm_mon).substr(0, 3)), true;
      case 'A':
        return out_.append(name_of(kDays, time_.tm_wday)), true;
      case 'a':
        return out_.append(name_of(kDays, time_.tm_wday).substr(0, 3)), true;
      case 'u':
        return number(time_.tm_wday == 0 ? 7 : time_.tm_wday, 1), true;
      case 'w':
        return number(time_.tm_wday, 1), true;
      case 'U':
        return number((time_.tm_yday + 7 - time_.tm_wday) / 7, 2), true;
      case 'W':
        return number((time_.tm_yday + 7 - (time_.tm_wday + 6) % 7) / 7, 2), true;
      case 'V':
        return number(iso_week(time_).week, 2), true;
      case 'G':
        return number(iso_week(time_).year, 1), true;
      case 'g':
        return number(iso_week(time_).year % 100, 2), true;
      default:
        return false;
    }
  }

  bool clock(char c) {
    const int twelve = time_.tm_hour % 12 == 0 ? 12 : time_.tm_hour % 12;
    switch (c) {
      case 'H':
        return number(time_.tm_hour, 2), true;
      case 'k':
        return number(time_.tm_hour, 2, ' '), true;
      case 'I':
        return number(twelve, 2), true;
      case 'l':
        return number(twelve, 2, ' '), true;
      case 'M':
        return number(time_.tm_min, 2), true;
      case 'S':
        return number(time_.tm_sec, 2), true;
      case 'f':  // Python's microseconds
        return out_.append("000000"), true;
      case 'p':
        return out_.append(time_.tm_hour < 12 ? "AM" : "PM"), true;
      case 'P':
        return out_.append(time_.tm_hour < 12 ? "am" : "pm"), true;
      case 's':
        return out_.append(fmt::format("{}", days_since_epoch(time_) * 86400 + time_.tm_hour * 3600 +
                                                 time_.tm_min * 60 + time_.tm_sec)),
               true;
      case 'z':
      case 'Z':
        return true;
      default:
        return false;
    }
  }

  // Conversions made of others.
  bool combined(char c) {
    flag_ = 0;
    switch (c) {
      case 'F':
        return run("%Y-%m-%d"), true;
      case 'D':
      case 'x':
        return run("%m/%d/%y"), true;
      case 'T':
      case 'X':
        return run("%H:%M:%S"), true;
      case 'R':
        return run("%H:%M"), true;
      case 'r':
        return run("%I:%M:%S %p"), true;
      case 'c':
        return run("%a %b %e %H:%M:%S %Y"), true;
      case 'n':
        return out_.append('\n'), true;
      case 't':
        return out_.append('\t'), true;
      case '%':
        return out_.append('%'), true;
      default:
        return false;
    }
  }

  bool conversion(char c) { return date(c) || clock(c) || combined(c); }

  TextBuilder& out_;
  const std::tm& time_;
  char flag_ = 0;
};

}  // namespace

void append_time(TextBuilder& out, std::string_view format, const std::tm& time) {
  TimeFormatter(out, time).run(format);
}

}  // namespace medlar::jinja
