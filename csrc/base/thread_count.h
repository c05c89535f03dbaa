// How many threads to compute with.
#pragma once

#include <string>
#include <vector>

namespace gpt2edge {

// GPT2EDGE_THREADS, if set. Else the number of physical cores this process may run on: those of the
// affinity mask without hyper-threads and without cores that are far slower than the fastest, and
// not more than the cgroup's CPU quota. At least 1. Throws std::invalid_argument for a
// GPT2EDGE_THREADS that is no number from 1 to 1024.
int default_thread_count();

// The number itself, or default_thread_count() for 0. Throws std::invalid_argument for a negative
// number or more than 1024.
int checked_thread_count(int n_threads);

// The physical cores among the processors `cpus`, as described by files in `sysfs`
// (/sys/devices/system/cpu on Linux). Where cores differ, as in phones and some boards, those with
// less than half the capacity of the fastest do not count: every loop would wait for them.
int count_cores(const std::string& sysfs, const std::vector<int>& cpus);

}  // namespace gpt2edge
