// Logits of the tokens that a constraint allows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gpt2edge {

// Copies the logits to `out`, with -infinity for the tokens whose bit of the mask is 0 or that it
// has no bit for. Returns whether any token is allowed.
bool mask_logits(std::span<const float> logits, std::span<const uint32_t> mask,
                 std::vector<float>& out);

}  // namespace gpt2edge
