// What the commands share.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "c_api/gpt2edge.h"

namespace gpt2edge::program {

// A call of the library has failed, or standard output has. The program ends with 1.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
// Throws where the status is an error; gives the status where it is none.
gpt2edge_status checked(gpt2edge_status status);

// Ctrl-C: the program ends with 130.
class Interruption {};
// Whether Ctrl-C was pressed; as an interrupt function of the library.
int32_t is_interrupted(void*);

// The text itself, or what standard input has for "-".
std::string text_or_stdin(const std::string& text);

// Loaded with what the options say; Ctrl-C stops its passes.
gpt2edge_model* open_model(const std::string& path, int32_t n_threads, int32_t n_ctx);

void write(const char* text, size_t n);

// A command takes its arguments and returns the program's exit code.
int generate(const std::vector<std::string>& arguments);
int compress(const std::vector<std::string>& arguments);
int decompress(const std::vector<std::string>& arguments);
int suggest(const std::vector<std::string>& arguments);
int inspect(const std::vector<std::string>& arguments);

}  // namespace gpt2edge::program
