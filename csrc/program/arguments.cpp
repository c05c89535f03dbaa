#include "program/arguments.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <sstream>
#include <string_view>

#include "base/error.h"

namespace gpt2edge::program {
namespace {

std::vector<std::string> split(const std::string& names) {
  std::vector<std::string> out;
  std::istringstream in(names);
  for (std::string name; std::getline(in, name, ',');) {
    out.push_back(name.substr(name.find_first_not_of(' ')));
  }
  return out;
}

// Calls strtoll or the like, which must take all of the value.
template <typename Parse>
auto parsed(const std::string& name, const std::string& value, const char* expected, Parse parse) {
  char* end = nullptr;
  errno = 0;
  const auto number = parse(value.c_str(), &end);
  if (value.empty() || *end != '\0' || errno != 0) {
    throw UsageError(message(name, " is ", quoted(value), ", expected ", expected));
  }
  return number;
}

int64_t whole_number(const std::string& name, const std::string& value) {
  return parsed(name, value, "a whole number",
                [](const char* text, char** end) { return std::strtoll(text, end, 10); });
}

// Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals", 1966.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

// What help shows as the default of a number: nothing where -1 stands for none.
template <typename T>
std::string shown_default(T value) {
  return value < T{0} ? "" : message(" [", value, "]");
}

}  // namespace

std::string suggestion(const std::string& name, const std::vector<std::string>& known) {
  const auto nearest = std::min_element(
      known.begin(), known.end(),
      [&](const auto& a, const auto& b) { return distance(name, a) < distance(name, b); });
  const bool is_like = nearest != known.end() && distance(name, *nearest) <= name.size() / 3;
  return is_like ? ": did you mean " + *nearest + "?" : "";
}

void Arguments::flag(const char* names, int32_t& value, const char* help) {
  options_.push_back(
      {names, nullptr, help, "", [&value](const std::string&, const std::string&) { value = 1; }});
}

void Arguments::number(const char* names, int32_t& value, const char* help) {
  const auto take = [&value](const std::string& name, const std::string& given) {
    const int64_t number = whole_number(name, given);
    if (number < std::numeric_limits<int32_t>::min() ||
        number > std::numeric_limits<int32_t>::max()) {
      throw UsageError(message(name, " is ", given, ", which is too large"));
    }
    value = static_cast<int32_t>(number);
  };
  options_.push_back({names, "N", help, shown_default(value), take});
}

void Arguments::number(const char* names, int64_t& value, const char* help) {
  const auto take = [&value](const std::string& name, const std::string& given) {
    value = whole_number(name, given);
  };
  options_.push_back({names, "N", help, shown_default(value), take});
}

void Arguments::number(const char* names, double& value, const char* help) {
  const auto take = [&value](const std::string& name, const std::string& given) {
    value = parsed(name, given, "a number",
                   [](const char* text, char** end) { return std::strtod(text, end); });
  };
  options_.push_back({names, "X", help, shown_default(value), take});
}

void Arguments::text(const char* names, std::string& value, const char* help) {
  options_.push_back({names, "TEXT", help, value.empty() ? "" : " [" + value + "]",
                      [&value](const std::string&, const auto& given) { value = given; }});
}

void Arguments::texts(const char* names, std::vector<std::string>& values, const char* help) {
  const auto take = [&values](const std::string&, const std::string& given) {
    values.push_back(given);
  };
  options_.push_back({names, "TEXT", help, "", take});
}

void Arguments::seed(const char* names, uint64_t& value, int32_t& is_given, const char* help) {
  const auto take = [&value, &is_given](const std::string& name, const std::string& given) {
    if (given.starts_with('-')) {
      throw UsageError(message(name, " is ", given, ", expected 0 or more"));
    }
    value = parsed(name, given, "a whole number", [](const char* text, char** end) {
      return static_cast<uint64_t>(std::strtoull(text, end, 10));
    });
    is_given = 1;
  };
  options_.push_back({names, "N", help, "", take});
}

const Arguments::Option& Arguments::find(const std::string& name) const {
  std::vector<std::string> known{"--help"};
  for (const Option& option : options_) {
    for (const std::string& each : split(option.names)) {
      if (each == name) return option;
      known.push_back(each);
    }
  }
  throw UsageError(message("there is no option ", name, suggestion(name, known)));
}

Arguments::Parsed Arguments::parse(const std::vector<std::string>& arguments, size_t most) const {
  Parsed out;
  bool only_words = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (only_words || argument == "-" || !argument.starts_with('-')) {
      out.words.push_back(argument);
      continue;
    }
    if (argument == "--") {
      only_words = true;
      continue;
    }
    if (argument == "-h" || argument == "--help") {
      print_help();
      out.is_help = true;
      return out;
    }
    // "--name=value" is the same as "--name value".
    const size_t equals = argument.starts_with("--") ? argument.find('=') : std::string::npos;
    const std::string name = argument.substr(0, equals);
    const Option& option = find(name);
    if (option.value == nullptr) {
      if (equals != std::string::npos) throw UsageError(name + " takes no value");
      option.take(name, "");
    } else if (equals != std::string::npos) {
      option.take(name, argument.substr(equals + 1));
    } else if (i + 1 < arguments.size()) {
      option.take(name, arguments[++i]);
    } else {
      throw UsageError(name + " needs a value");
    }
  }
  if (out.words.size() > most) {
    throw UsageError(message("there is an argument too many: ", quoted(out.words.back()),
                             "; put a text with spaces in quotes"));
  }
  return out;
}

void Arguments::print_help() const {
  std::printf("Usage: gpt2edge %s\n\n%s\n\nOptions:\n", usage_.c_str(), description_.c_str());
  for (const Option& option : options_) {
    const std::string value = option.value == nullptr ? "" : message(" ", option.value);
    std::printf("  %-28s %s%s\n", (option.names + value).c_str(), option.help.c_str(),
                option.shown_default.c_str());
  }
  std::printf("  %-28s %s\n\nExamples:\n%s", "-h, --help", "This help.", examples_.c_str());
}

}  // namespace gpt2edge::program
