// SPDX-License-Identifier: Apache-2.0
// Every bound on what a channel may bring, in one place: the host keeps them, the daemon checks
// them again, the schemas repeat them. Bytes unless the name says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace voxbus::model {

inline constexpr std::size_t kMaxNativeId = 1024;
inline constexpr std::size_t kMaxCursor = 64 << 10;
inline constexpr std::size_t kMaxHandle = 512;
inline constexpr std::size_t kMaxName = 512;
inline constexpr std::size_t kMaxUrl = 2048;
inline constexpr std::size_t kMaxLanguage = 35;
inline constexpr std::size_t kMaxTitle = 4096;
inline constexpr std::size_t kMaxFileName = 1024;
inline constexpr std::size_t kMaxMediaType = 255;
inline constexpr std::size_t kMaxText = 256 << 10;    // beyond it cut, and said in "truncated"
inline constexpr std::size_t kMaxRecord = 1 << 20;    // the whole normalised record
inline constexpr std::size_t kMaxItem = 32 << 20;     // raw; and the record before it is normalised
inline constexpr std::size_t kMaxAddresses = 64;      // entries
inline constexpr std::size_t kMaxQuoted = 1024;       // blocks
inline constexpr std::int64_t kMaxQuoteDepth = 100;   // levels
inline constexpr std::size_t kMaxAttachments = 1024;  // entries
inline constexpr std::size_t kMaxRecordDepth = 16;    // levels of JSON
inline constexpr std::size_t kMaxBatchItems = 4096;   // entries

}  // namespace voxbus::model
