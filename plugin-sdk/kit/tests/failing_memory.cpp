// SPDX-License-Identifier: Apache-2.0
#include "failing_memory.hpp"

#include <cstdlib>

void* operator new(std::size_t size) {
  voxbus::kit::tests::FailingMemory::note_allocation();
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc{};
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
