#include "tokenize/unicode_classes.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <vector>

#include "tokenize/unicode_tables.h"

namespace gpt2edge {
namespace {

using namespace unicode_tables;

constexpr char32_t kBasicPlane = 0x10000;  // which most characters are in

// The classes of the basic plane by code point: 64 kB.
std::vector<CharacterClass> basic_classes() {
  std::vector<CharacterClass> classes;
  classes.reserve(kBasicPlane);
  CharacterClass current = CharacterClass::kOther;
  for (const uint32_t range : kRanges) {
    classes.resize(std::min<size_t>(range >> kClassBits, kBasicPlane), current);
    current = static_cast<CharacterClass>(range & kClassMask);
  }
  return classes;
}

CharacterClass class_by_search(char32_t code) {
  if (code > kLastCode) return CharacterClass::kOther;
  const uint32_t last_of_code = code << kClassBits | kClassMask;
  const auto after = std::upper_bound(std::begin(kRanges), std::end(kRanges), last_of_code);
  return static_cast<CharacterClass>(*std::prev(after) & kClassMask);
}

}  // namespace

CharacterClass detail::class_by_table(char32_t code) {
  static const std::vector<CharacterClass> basic = basic_classes();
  return code < kBasicPlane ? basic[code] : class_by_search(code);
}

}  // namespace gpt2edge
