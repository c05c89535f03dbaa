#include "c_api/status.h"

#include <new>

#include "c_api/handles.h"

#define GPT2EDGE_TEXT_OF(number) #number
#define GPT2EDGE_DOTTED(major, minor, patch) \
  GPT2EDGE_TEXT_OF(major) "." GPT2EDGE_TEXT_OF(minor) "." GPT2EDGE_TEXT_OF(patch)

namespace gpt2edge::c_api {
namespace {

constexpr std::string_view kVersion =
    GPT2EDGE_DOTTED(GPT2EDGE_VERSION_MAJOR, GPT2EDGE_VERSION_MINOR, GPT2EDGE_VERSION_PATCH);
static_assert(kVersion == GPT2EDGE_PROJECT_VERSION, "gpt2edge.h and pyproject.toml differ");

struct ErrorMessage {
  std::string text;
  const char* shown = "";
};
thread_local ErrorMessage last_error;

void keep_message(const char* what) noexcept {
  try {
    last_error.text = what;
    last_error.shown = last_error.text.c_str();
  } catch (const std::bad_alloc&) {
    last_error.shown = "out of memory";
  }
}

gpt2edge_status kept(gpt2edge_status status, const char* what) noexcept {
  keep_message(what);
  return status;
}

}  // namespace

gpt2edge_status status_of_exception() noexcept {
  try {
    throw;
  } catch (const HandleError& e) {
    return kept(GPT2EDGE_ERROR_HANDLE, e.what());
  } catch (const BufferError& e) {
    return kept(GPT2EDGE_ERROR_BUFFER, e.what());
  } catch (const Interrupted& e) {
    return kept(GPT2EDGE_ERROR_INTERRUPTED, e.what());
  } catch (const FileError& e) {
    return kept(GPT2EDGE_ERROR_FILE, e.what());
  } catch (const FormatError& e) {
    return kept(GPT2EDGE_ERROR_FORMAT, e.what());
  } catch (const UnsupportedError& e) {
    return kept(GPT2EDGE_ERROR_UNSUPPORTED, e.what());
  } catch (const ContextLengthError& e) {
    return kept(GPT2EDGE_ERROR_CONTEXT_LENGTH, e.what());
  } catch (const MemoryError& e) {
    return kept(GPT2EDGE_ERROR_MEMORY, e.what());
  } catch (const std::bad_alloc&) {
    return kept(GPT2EDGE_ERROR_MEMORY, "out of memory");
  } catch (const std::logic_error& e) {  // invalid_argument, out_of_range, length_error
    return kept(GPT2EDGE_ERROR_ARGUMENT, e.what());
  } catch (const std::exception& e) {
    return kept(GPT2EDGE_ERROR_INTERNAL, e.what());
  } catch (...) {
    return kept(GPT2EDGE_ERROR_INTERNAL, "a function of the caller has thrown an exception");
  }
}

}  // namespace gpt2edge::c_api

const char* gpt2edge_version(void) { return gpt2edge::c_api::kVersion.data(); }

const char* gpt2edge_error_message(void) { return gpt2edge::c_api::last_error.shown; }
