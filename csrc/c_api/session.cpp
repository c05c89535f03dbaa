// Sessions: tokens in, logits out.
#include <algorithm>
#include <functional>

#include "c_api/objects.h"

using namespace gpt2edge;
using namespace gpt2edge::c_api;

namespace {

gpt2edge_session* kept(std::unique_ptr<Sequence> sequence, const Interrupt& interrupt) {
  auto session = std::make_shared<Session>();
  session->sequence = std::move(sequence);
  session->interrupt = interrupt;
  return Sessions::add(std::move(session));
}

// In an order that is the same for all calls, so that two of them do not wait for one another.
std::vector<std::unique_lock<WorkMutex>> locked(std::vector<std::shared_ptr<Session>> sessions) {
  std::sort(sessions.begin(), sessions.end());
  if (std::adjacent_find(sessions.begin(), sessions.end()) != sessions.end()) {
    throw std::invalid_argument("a session comes twice");
  }
  std::vector<std::unique_lock<WorkMutex>> locks;
  for (const auto& session : sessions) locks.emplace_back(session->mutex);
  return locks;
}

}  // namespace

gpt2edge_status gpt2edge_session_open(gpt2edge_model* model, gpt2edge_session** session) {
  return guarded([&] {
    auto& out = required(session, "the place for the session");
    const auto loaded = Models::get(model);
    out = kept(std::make_unique<Sequence>(loaded->model, loaded->contexts.positions(*loaded->model),
                                          loaded->contexts.cache_type),
               loaded->interrupt);
  });
}

gpt2edge_status gpt2edge_session_close(gpt2edge_session* session) {
  return guarded([&] { Sessions::close(session); });
}

gpt2edge_status gpt2edge_session_append(const gpt2edge_part* parts, size_t n_parts) {
  return guarded([&] {
    std::vector<std::shared_ptr<Session>> sessions;
    std::vector<Sequence::Part> appended;
    for (const gpt2edge_part& part : array_of(parts, n_parts, "parts")) {
      sessions.push_back(Sessions::get(part.session));
      appended.push_back({sessions.back()->sequence.get(),
                          array_of(part.tokens, part.n_tokens, "tokens"), 1, part.logits});
    }
    if (sessions.empty()) return;
    const auto locks = locked(sessions);
    Sequence::append(appended, sessions.front()->interrupt);
  });
}

gpt2edge_status gpt2edge_session_logits(gpt2edge_session* session, float* logits, size_t capacity,
                                        size_t* n_logits) {
  return guarded([&] {
    const auto held = Sessions::get(session);
    const std::lock_guard<WorkMutex> lock(held->mutex);
    write_array(held->sequence->logits_after(held->sequence->length()).all, logits, capacity,
                n_logits);
  });
}

gpt2edge_status gpt2edge_session_tokens(gpt2edge_session* session, int32_t* tokens, size_t capacity,
                                        size_t* n_tokens) {
  return guarded([&] {
    const auto held = Sessions::get(session);
    const std::lock_guard<WorkMutex> lock(held->mutex);
    write_array<int32_t>(held->sequence->tokens(), tokens, capacity, n_tokens);
  });
}

gpt2edge_status gpt2edge_session_truncate(gpt2edge_session* session, size_t n_tokens) {
  return guarded([&] {
    const auto held = Sessions::get(session);
    const std::lock_guard<WorkMutex> lock(held->mutex);
    const auto length = static_cast<size_t>(held->sequence->length());
    if (n_tokens > length) {
      throw std::invalid_argument(
          message("n_tokens is ", n_tokens, ", the session has ", length, " tokens"));
    }
    held->sequence->truncate(static_cast<int>(n_tokens));
  });
}

gpt2edge_status gpt2edge_session_fork(gpt2edge_session* session, gpt2edge_session** fork) {
  return guarded([&] {
    auto& out = required(fork, "the place for the fork");
    const auto held = Sessions::get(session);
    const std::lock_guard<WorkMutex> lock(held->mutex);
    out = kept(held->sequence->fork(), held->interrupt);
  });
}
