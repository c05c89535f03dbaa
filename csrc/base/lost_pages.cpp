#include "base/lost_pages.h"

#if defined(_WIN32)

namespace gpt2edge {

WatchedRange::WatchedRange(const void*, size_t) : entry_(nullptr) {}
WatchedRange::~WatchedRange() = default;
bool WatchedRange::has_lost_pages() const { return false; }

}  // namespace gpt2edge

#else

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <mutex>

#include "base/fork.h"

namespace gpt2edge {

// One range, or none where the size is 0. The handler of the signal may read an entry at any time,
// so that entries are used again and never freed.
struct LostPagesEntry {
  std::atomic<uintptr_t> begin{0};
  std::atomic<size_t> size{0};
  std::atomic<bool> is_lost{false};
  LostPagesEntry* next = nullptr;
};

namespace {

std::atomic<LostPagesEntry*> first_entry{nullptr};
struct sigaction earlier_action;
size_t page_size;

LostPagesEntry* find_entry(uintptr_t address) {
  for (auto* entry = first_entry.load(); entry != nullptr; entry = entry->next) {
    const uintptr_t begin = entry->begin;
    const size_t size = entry->size;
    // An entry that another thread fills just now is none that can be read from.
    if (address >= begin && address - begin < size && begin == entry->begin) return entry;
  }
  return nullptr;
}

// Zeros from the lost page to the mapping's end.
bool replace_pages(const LostPagesEntry& entry, uintptr_t address) {
  const uintptr_t page = address / page_size * page_size;
  void* const at = reinterpret_cast<void*>(page);  // NOLINT(performance-no-int-to-ptr)
  return mmap(at, entry.begin + entry.size - page, PROT_READ,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at;
}

void pass_on(int signal_number, siginfo_t* info, void* context) {
  if ((earlier_action.sa_flags & SA_SIGINFO) != 0) {
    earlier_action.sa_sigaction(signal_number, info, context);
  } else if (earlier_action.sa_handler == SIG_DFL || earlier_action.sa_handler == SIG_IGN) {
    // Ends the process once this handler returns.
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
  } else {
    earlier_action.sa_handler(signal_number);
  }
}

void handle(int signal_number, siginfo_t* info, void* context) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  // A signal that a process has sent (si_code up to 0) names no address.
  LostPagesEntry* const entry = info->si_code > 0 ? find_entry(address) : nullptr;
  // First: from when the zeros are there, another thread reads them without a signal.
  if (entry != nullptr) entry->is_lost = true;
  if (entry == nullptr || !replace_pages(*entry, address)) pass_on(signal_number, info, context);
}

void install_handler() {
  page_size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  struct sigaction action{};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  // It cannot fail: the signal exists and may be caught.
  (void)sigaction(SIGBUS, &action, &earlier_action);
}

LostPagesEntry* unused_entry() {
  for (auto* entry = first_entry.load(); entry != nullptr; entry = entry->next) {
    if (entry->size == 0) return entry;
  }
  auto* const entry = new LostPagesEntry;
  entry->next = first_entry;
  first_entry = entry;
  return entry;
}

}  // namespace

WatchedRange::WatchedRange(const void* begin, size_t size) {
  static std::once_flag is_installed;
  std::call_once(is_installed, install_handler);
  const std::lock_guard lock(brief_mutex());
  entry_ = unused_entry();
  entry_->is_lost = false;
  entry_->begin = reinterpret_cast<uintptr_t>(begin);
  entry_->size = size;
}

WatchedRange::~WatchedRange() {
  const std::lock_guard lock(brief_mutex());
  entry_->size = 0;
}

bool WatchedRange::has_lost_pages() const { return entry_->is_lost; }

}  // namespace gpt2edge

#endif
