// The least that a test program needs: CHECK counts and reports, done() gives the exit code.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>

namespace check {
inline std::atomic<int64_t> n_checks = 0;  // of hours, in some programs
inline std::atomic<int> n_failures = 0;

inline bool that(bool holds, const char* what, const char* file, int line) {
  ++n_checks;
  if (!holds && ++n_failures <= 20) std::printf("%s:%d: failed: %s\n", file, line, what);
  return holds;
}

// Under emulation a program takes a hundred times as long: there it looks at fewer cases.
inline bool is_quick() { return std::getenv("CHECK_QUICK") != nullptr; }

// Whether an action throws that kind of error, and no other.
template <typename Error, typename Action>
bool throws(const Action& action) {
  try {
    action();
  } catch (const Error&) {
    return true;
  } catch (const std::exception&) {
  }
  return false;
}

inline int done() {
  std::printf("%lld passed, %d failed\n",
              static_cast<long long>(n_checks.load() - n_failures.load()), n_failures.load());
  return n_failures == 0 && n_checks > 0 ? 0 : 1;
}
}  // namespace check

#define CHECK(condition) check::that((condition), #condition, __FILE__, __LINE__)
