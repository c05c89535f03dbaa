// A process that forks, whatever its threads do at that moment: the child goes on with what is
// whole, is told what is not, and never waits for a thread that it does not have.
#include <cstdio>

#include "check.h"

#if defined(_WIN32)

int main() {
  CHECK(true);  // there is no fork
  return check::done();
}

#else

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "generate/text.h"
#include "tiny_model.h"

namespace gpt2edge::test {
namespace {

constexpr unsigned kMostSeconds = 60;

// Whether a child comes to the end of it with success. One that waits for ever is ended.
bool holds_in_child(const std::function<bool()>& action) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    alarm(kMostSeconds);
    bool holds = false;
    try {
      holds = action();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
    _exit(holds ? 0 : 1);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// While it lives, another thread does that, over and over.
class Busy {
 public:
  explicit Busy(std::function<void()> action)
      : thread_([this, action = std::move(action)] {
          while (!is_over_) {
            action();
            has_begun_ = true;
          }
        }) {
    while (!has_begun_) std::this_thread::yield();
  }
  ~Busy() {
    is_over_ = true;
    thread_.join();
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  std::atomic<bool> is_over_{false}, has_begun_{false};
  std::thread thread_;
};

int sum_of(ThreadPool& pool, int n) {
  const ThreadPool::Lease lease(pool);
  std::atomic<int> sum{0};
  pool.run(n, [&](int item, int) { sum += item; });
  return sum;
}

void test_pools() {
  ThreadPool one(3), two(2);
  const auto both = [&] { return sum_of(one, 100) == 4950 && sum_of(two, 100) == 4950; };
  CHECK(both());
  CHECK(holds_in_child(both));
  CHECK(holds_in_child([&] { return both() && holds_in_child(both); }));
  const Busy busy([&] { sum_of(one, 50); });
  for (int i = 0; i < 10; ++i) CHECK(holds_in_child(both));
}

// The threads of one pool may have the handles that those of another had in the parent.
void test_pools_that_end_in_a_child() {
  auto one = std::make_unique<ThreadPool>(4);
  auto two = std::make_unique<ThreadPool>(4);
  CHECK(holds_in_child([&] {
    bool holds = sum_of(*one, 100) == 4950;
    two.reset();
    holds = holds && sum_of(*one, 100) == 4950;
    one.reset();
    return holds;
  }));
}

std::unique_ptr<Text> begin(const TinyModel& tiny, int64_t n) {
  TextOptions options;
  options.max_tokens = n;
  options.ignore_eos = true;
  options.sampling.seed = 3;
  return std::make_unique<Text>(tiny.model, tiny.vocabulary, ContextOptions{},
                                std::vector<int32_t>{1, 2, 3}, options);
}

std::vector<int32_t> tokens_of(const TinyModel& tiny) {
  const auto text = begin(tiny, 70);
  text->run({});
  return text->state().tokens;
}

void test_texts(const TinyModel& tiny) {
  const std::vector<int32_t> expected = tokens_of(tiny);
  const auto text = begin(tiny, 70);
  text->next({});
  const auto goes_on = [&] {
    text->run({});
    return text->state().tokens == expected;
  };
  CHECK(holds_in_child(goes_on));
  {
    const Busy busy([&] { tokens_of(tiny); });
    for (int i = 0; i < 10; ++i) {
      CHECK(holds_in_child([&] { return tokens_of(tiny) == expected; }));
      CHECK(holds_in_child(goes_on));
    }
  }
  CHECK(goes_on());
}

// A text in the middle of a step is told to be lost; others are not.
void test_a_text_that_is_computed(const TinyModel& tiny) {
  const std::vector<int32_t> expected = tokens_of(tiny);
  const auto text = begin(tiny, 70);
  std::atomic<bool> is_computing{false}, may_go_on{false};
  std::thread other([&] {
    text->run([&] {
      is_computing = true;
      while (!may_go_on) std::this_thread::yield();
    });
  });
  while (!is_computing) std::this_thread::yield();
  CHECK(holds_in_child([&] {
    return throws<UnsupportedError>([&] { text->next({}); }) &&
           throws<UnsupportedError>([&] { text->state(); }) && tokens_of(tiny) == expected;
  }));
  may_go_on = true;
  other.join();
  CHECK(text->state().tokens == expected);
}

// A fork in a callback: the child goes on with the very step.
void test_a_fork_within_a_step(const TinyModel& tiny) {
  const std::vector<int32_t> expected = tokens_of(tiny);
  const auto text = begin(tiny, 70);
  pid_t child = -1;
  text->run([&] {
    if (child < 0) child = fork();
    if (child == 0) alarm(kMostSeconds);
  });
  const bool is_same = text->state().tokens == expected && tokens_of(tiny) == expected;
  if (child == 0) _exit(is_same ? 0 : 1);
  int status = 0;
  CHECK(is_same && waitpid(child, &status, 0) == child && status == 0);
}

}  // namespace
}  // namespace gpt2edge::test

int main() {
  using namespace gpt2edge::test;
  test_pools();
  test_pools_that_end_in_a_child();
  const TinyModel tiny = tiny_model({.n_ctx = 200, .n_vocab = 257}, 2);
  test_texts(tiny);
  test_a_text_that_is_computed(tiny);
  test_a_fork_within_a_step(tiny);
  return check::done();
}

#endif
