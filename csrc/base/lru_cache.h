// A map that drops its least recently used entries.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <utility>

namespace gpt2edge {

// Addresses of values are stable until they are dropped.
template <typename Key, typename Value>
class LruCache {
 public:
  bool contains(const Key& key) const { return entries_.contains(key); }

  // The value, which becomes the most recently used; or null.
  Value* find(const Key& key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return nullptr;
    order_.splice(order_.end(), order_, found->second.place);
    return &found->second.value;
  }

  // Sets the value of a key, as the most recently used. Without memory nothing changes.
  Value& put(const Key& key, Value value) {
    if (Value* known = find(key)) return *known = std::move(value);
    Order place(1);
    const auto entry = entries_.emplace(key, Entry{std::move(value), place.begin()}).first;
    place.front() = &entry->first;
    order_.splice(order_.end(), place);
    return entry->second.value;
  }

  // Drops all but the n that were used last.
  void shrink(size_t n) {
    while (order_.size() > n) {
      entries_.erase(entries_.find(*order_.front()));
      order_.pop_front();
    }
  }

  void clear() { shrink(0); }

 private:
  using Order = std::list<const Key*>;  // of entries_, the longest unused first
  struct Entry {
    Value value;
    typename Order::iterator place;
  };

  std::map<Key, Entry> entries_;
  Order order_;
};

}  // namespace gpt2edge
