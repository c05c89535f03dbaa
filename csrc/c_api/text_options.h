// The options of a text, from the caller's struct.
#pragma once

#include "c_api/objects.h"
#include "generate/drafting/speculation.h"
#include "generate/text_options.h"

namespace gpt2edge::c_api {

struct GivenTextOptions {
  TextOptions text;
  SpeculationOptions speculation;
  bool allow_special = false;
};

GivenTextOptions read_text_options(const gpt2edge_text_options* given);

}  // namespace gpt2edge::c_api
