// gpt2edge: GPT-2 on the command line, without Python. A thin layer over gpt2edge.h.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "base/windows_api.h"
#include "program/arguments.h"
#include "program/program.h"

#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#include <shellapi.h>
#endif

namespace gpt2edge::program {
namespace {

constexpr char kHelp[] =
    "Usage: gpt2edge COMMAND ...\n\n"
    "GPT-2 text generation on any CPU.\n\n"
    "Commands:\n"
    "  generate    writes text after a prompt\n"
    "  suggest     the most probable next words of a text\n"
    "  compress    makes a text a fraction of its size, without loss\n"
    "  decompress  makes it what it was\n"
    "  inspect     what a model file holds, and the memory it will take\n\n"
    "gpt2edge COMMAND --help describes the options of each. gpt2edge --version prints the "
    "version.\n";

volatile std::sig_atomic_t was_interrupted = 0;

// The second Ctrl-C ends the program at once.
void handle_interrupt(int) {
  was_interrupted = 1;
  std::signal(SIGINT, SIG_DFL);
}

int run(const std::vector<std::string>& arguments) {
  const std::map<std::string, int (*)(const std::vector<std::string>&)> commands{
      {"compress", compress},
      {"decompress", decompress},
      {"generate", generate},
      {"inspect", inspect},
      {"suggest", suggest}};
  if (arguments.empty() || arguments.front() == "--help" || arguments.front() == "-h") {
    std::FILE* const out = arguments.empty() ? stderr : stdout;
    std::fputs(kHelp, out);
    return arguments.empty() ? 2 : 0;
  }
  if (arguments.front() == "--version") {
    std::printf("gpt2edge %s\n", gpt2edge_version());
    return 0;
  }
  const auto found = commands.find(arguments.front());
  if (found == commands.end()) {
    std::vector<std::string> names;
    for (const auto& [name, command] : commands) names.push_back(name);
    throw UsageError("there is no command " + arguments.front() +
                     suggestion(arguments.front(), names));
  }
  return found->second({arguments.begin() + 1, arguments.end()});
}

int run_and_report(const std::vector<std::string>& arguments) {
  try {
    const int code = run(arguments);
    if (std::fflush(stdout) != 0) throw Failure("cannot write to standard output");
    return code;
  } catch (const UsageError& e) {
    std::fprintf(stderr, "gpt2edge: %s (gpt2edge --help)\n", e.what());
    return 2;
  } catch (const Interruption&) {
    std::fputc('\n', stderr);
    return 130;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "gpt2edge: %s\n", e.what());
    return 1;
  }
}

}  // namespace

int32_t is_interrupted(void*) { return was_interrupted; }

gpt2edge_status checked(gpt2edge_status status) {
  if (status == GPT2EDGE_ERROR_INTERRUPTED) throw Interruption{};
  if (status < 0) throw Failure(gpt2edge_error_message());
  return status;
}

std::string text_or_stdin(const std::string& text) {
  if (text != "-") return text;
  std::string out;
  char buffer[4096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, stdin)) > 0;) out.append(buffer, n);
  if (std::ferror(stdin) != 0) throw Failure("cannot read standard input");
  return out;
}

gpt2edge_model* open_model(const std::string& path, int32_t n_threads, int32_t n_ctx) {
  if (path.empty()) throw UsageError("give a model: -m MODEL.gguf");
  gpt2edge_model_options options;
  checked(gpt2edge_model_options_init(&options, sizeof options));
  options.n_threads = n_threads;
  options.n_ctx = n_ctx;
  options.interrupt = is_interrupted;
  gpt2edge_model* model = nullptr;
  checked(gpt2edge_model_open(path.c_str(), &options, &model));
  return model;
}

void write(const char* text, size_t n) {
  if (std::fwrite(text, 1, n, stdout) != n || std::fflush(stdout) != 0) {
    throw Failure("cannot write to standard output");
  }
}

}  // namespace gpt2edge::program

namespace {

#if defined(_WIN32)
// Arguments in UTF-8, whatever the system's code page is; output without changed line ends.
std::vector<std::string> arguments_of(int, char**) {
  SetConsoleOutputCP(CP_UTF8);
  _setmode(_fileno(stdout), _O_BINARY);
  _setmode(_fileno(stdin), _O_BINARY);
  int n = 0;
  wchar_t** const wide = CommandLineToArgvW(GetCommandLineW(), &n);
  std::vector<std::string> out;
  for (int i = 1; i < n; ++i) {
    const int size = WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, nullptr, 0, nullptr, nullptr);
    std::string argument(static_cast<size_t>(size), '\0');
    WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, argument.data(), size, nullptr, nullptr);
    argument.resize(argument.size() - 1);  // without the null character
    out.push_back(std::move(argument));
  }
  LocalFree(wide);
  return out;
}
#else
std::vector<std::string> arguments_of(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error like others
  return {argv + (argc > 0 ? 1 : 0), argv + argc};
}
#endif

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGINT, gpt2edge::program::handle_interrupt);
  // The model's memory need not be given back one by one: the system takes it all.
  const int code = gpt2edge::program::run_and_report(arguments_of(argc, argv));
  std::fflush(nullptr);
  std::_Exit(code);
}
