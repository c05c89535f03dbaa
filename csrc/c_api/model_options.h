// The options that models are loaded with, checked.
#pragma once

#include "c_api/status.h"
#include "model/memory_needs.h"
#include "model/model.h"

namespace gpt2edge::c_api {

struct ModelOptions {
  int n_threads = 0;
  CacheOptions cache;
  Interrupt interrupt;
};

ModelOptions read_model_options(const gpt2edge_model_options* given);

}  // namespace gpt2edge::c_api
