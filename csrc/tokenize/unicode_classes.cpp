#include "tokenize/unicode_classes.h"

#include <algorithm>
#include <iterator>

#include "tokenize/unicode_tables.h"

namespace gpt2edge {

CharacterClass detail::class_by_search(char32_t code) {
  using namespace unicode_tables;
  if (code > kLastCode) return CharacterClass::kOther;
  const uint32_t last_of_code = code << kClassBits | kClassMask;
  const auto after = std::upper_bound(std::begin(kRanges), std::end(kRanges), last_of_code);
  return static_cast<CharacterClass>(*std::prev(after) & kClassMask);
}

const char* unicode_version() { return unicode_tables::kVersion; }

}  // namespace gpt2edge
