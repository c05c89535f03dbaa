// Jobs that may throw, a row each, on all threads of a model.
#pragma once

#include <cstddef>
#include <exception>
#include <vector>

#include "model/model.h"

namespace gpt2edge {

// Runs job(0) .. job(n - 1) between passes. Throws what the first of those threw that did, after
// all have ended.
template <typename Job>
void for_each_row(Model& model, size_t n, const Job& job) {
  std::vector<std::exception_ptr> errors(n);
  model.run_jobs(static_cast<int>(n), [&](int row) {
    const auto i = static_cast<size_t>(row);
    try {
      job(i);
    } catch (...) {
      errors[i] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors) {
    if (error != nullptr) std::rethrow_exception(error);
  }
}

}  // namespace gpt2edge
