// The arguments of a command: one table, from which they are read and the help is made.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace gpt2edge::program {

// Wrong usage; the program ends with 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Arguments {
 public:
  // `usage` follows the program's name; `examples` end the help.
  Arguments(std::string usage, std::string description, std::string examples)
      : usage_(std::move(usage)),
        description_(std::move(description)),
        examples_(std::move(examples)) {}

  // `names` as "-n, --max-tokens". The values are where the arguments go, and outlive the parsing;
  // what is in a number is its default, which the help shows unless it stands for none (below 0).
  void flag(const char* names, int32_t& value, const char* help);
  void number(const char* names, int32_t& value, const char* help);
  void number(const char* names, int64_t& value, const char* help);
  void number(const char* names, double& value, const char* help);
  void text(const char* names, std::string& value, const char* help);
  void texts(const char* names, std::vector<std::string>& values, const char* help);
  void seed(const char* names, uint64_t& value, int32_t& is_given, const char* help);

  // Gives what is no option, of which there may be at most `most`; none where the help was asked
  // for and printed. Throws UsageError.
  struct Parsed {
    bool is_help = false;
    std::vector<std::string> words;
  };
  Parsed parse(const std::vector<std::string>& arguments, size_t most) const;

 private:
  struct Option {
    std::string names;
    const char* value;  // what stands for it in the help; null where none is taken
    std::string help, shown_default;
    std::function<void(const std::string& name, const std::string& value)> take;
  };
  const Option& find(const std::string& name) const;
  void print_help() const;

  std::string usage_, description_, examples_;
  std::vector<Option> options_;
};

// The one of `known` that is most like a misspelt name, as ": did you mean ...?", or nothing.
std::string suggestion(const std::string& name, const std::vector<std::string>& known);

}  // namespace gpt2edge::program
