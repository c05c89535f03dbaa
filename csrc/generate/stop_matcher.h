// Cuts the generated text at the first stop string, and never in the middle of a character.
//
// Text arrives as bytes, a token at a time, and a stop string or a character may be spread over
// several tokens. What could still become part of either is held back; the rest is released.
// How the text is cut into pieces never changes the result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2edge {

class StopMatcher {
 public:
  // Throws std::invalid_argument for an empty stop string.
  explicit StopMatcher(std::vector<std::string> stops);

  // Takes the next bytes, returns those that are now safe to show. The match that starts first
  // wins, and of those that start together the shortest: a match is therefore not final while a
  // longer stop string that began before it may still complete. A stop string whose last byte comes
  // with `can_stop` false does not match. Once stopped, input is ignored.
  std::string push(std::string_view piece, bool can_stop = true);

  // The text is over: returns what was held back, up to a match if one was waiting to be final.
  std::string finish();

  bool stopped() const { return stopped_; }
  // The stop string that matched, if any.
  std::optional<std::string> stop_string() const;

 private:
  // One stop string, searched for with Knuth, Morris and Pratt's automaton.
  struct Pattern {
    std::string text;
    std::vector<size_t> border;  // of text[0..i]: its longest proper prefix that is also its suffix
    size_t n_matched = 0;        // length of the longest prefix that the text so far ends with
  };
  struct Match {
    uint64_t start;  // position in the whole text
    size_t pattern;
  };

  void step(Pattern& pattern, char byte);
  void note_matches();
  void drop_matches();
  uint64_t earliest_open() const;
  std::string release_until(uint64_t position);
  std::string stop();

  std::vector<Pattern> patterns_;
  std::string held_;         // the text that was not released
  uint64_t n_released_ = 0;  // position of held_ in the whole text
  uint64_t n_read_ = 0;      // bytes the automata have seen
  std::optional<Match> match_;
  bool stopped_ = false;
};

}  // namespace gpt2edge
