// SPDX-License-Identifier: Apache-2.0
// The memory that answers under way may take together: what does not fit is refused for the moment
// instead of piling up. Owned by the server, used on its loop's thread, as are the shares.
#pragma once

#include <cstddef>
#include <memory>

namespace voxbus::serve {

class Budget {
 public:
  explicit Budget(std::size_t bytes) : left_(std::make_shared<std::size_t>(bytes)) {}

  class Share {
   public:
    Share(std::shared_ptr<std::size_t> left, std::size_t bytes)
        : left_(std::move(left)), bytes_(bytes) {}
    ~Share() { *left_ += bytes_; }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    void shrink_to(std::size_t bytes) {
      if (bytes >= bytes_) return;
      *left_ += bytes_ - bytes;
      bytes_ = bytes;
    }

   private:
    std::shared_ptr<std::size_t> left_;
    std::size_t bytes_;
  };
  // Null when there is not so much left.
  [[nodiscard]] std::shared_ptr<Share> take(std::size_t bytes) {
    if (bytes > *left_) return nullptr;
    *left_ -= bytes;
    return std::make_shared<Share>(left_, bytes);
  }

 private:
  std::shared_ptr<std::size_t> left_;
};

}  // namespace voxbus::serve
