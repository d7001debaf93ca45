// SPDX-License-Identifier: Apache-2.0
// Work that may touch the disk leaves the loop for the worker threads and comes back with its
// result. `work` runs on a worker while the calling coroutine waits, so it may refer to its locals.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <type_traits>

namespace voxbus::serve {

// A named coroutine that takes its work by value: g++ 12 destroys the captures of a lambda
// coroutine twice when it is written inside the co_await expression.
template<class Work>
boost::asio::awaitable<std::invoke_result_t<Work>> run_work(Work work) {
  co_return work();
}

template<class Work>
boost::asio::awaitable<std::invoke_result_t<Work>> on_worker(boost::asio::thread_pool& workers,
                                                             Work work) {
  auto running = run_work<Work>(std::move(work));
  co_return co_await boost::asio::co_spawn(workers, std::move(running), boost::asio::use_awaitable);
}

}  // namespace voxbus::serve
