// SPDX-License-Identifier: Apache-2.0
#include "journal/sealer.hpp"

#include <zstd.h>

#include <new>

#include "journal/bytes.hpp"
#include "journal/dictionary.hpp"

namespace voxbus::journal {
namespace {

// Below this a frame's own bytes eat what it saves.
constexpr std::size_t kWorthPacking = 160;
constexpr int kLevel = 1;
// No sealed text is longer: model::kMaxItem, its record and the envelope, with room.
constexpr unsigned long long kLongest = 128u << 20;

void bind_cursor(std::string& bound, const model::ChannelIdentity& channel) {
  bound.assign(1, 'C');
  for (const auto* field : {&channel.name, &channel.plugin, &channel.origin}) {
    put(bound, static_cast<std::uint32_t>(field->size()));
    bound += *field;
  }
}

}  // namespace

Sealer::Sealer()
    : compressor_(ZSTD_createCCtx()),
      dictionary_(ZSTD_createCDict(body_dictionary().data(), body_dictionary().size(), kLevel)) {
  if (!compressor_ || !dictionary_) throw std::bad_alloc();
  ZSTD_CCtx_setParameter(compressor_, ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(compressor_, ZSTD_c_dictIDFlag, 0);  // the codec says it
}
Sealer::~Sealer() {
  ZSTD_freeCCtx(compressor_);
  ZSTD_freeCDict(dictionary_);
}

// Without a dictionary: nullptr.
std::string_view Sealer::pack(std::string_view text, const ZSTD_CDict_s* dictionary,
                              std::uint8_t& codec) {
  codec = kPlain;
  if (text.size() < kWorthPacking) return text;
  const auto bound = ZSTD_compressBound(text.size());
  if (packed_.size() < bound) packed_.resize(bound);
  ZSTD_CCtx_refCDict(compressor_, dictionary);
  const auto size =
      ZSTD_compress2(compressor_, packed_.data(), packed_.size(), text.data(), text.size());
  const bool pays = !ZSTD_isError(size) && size < text.size() - text.size() / 16;
  if (!pays) return text;
  codec = dictionary ? kZstdDictionary : kZstd;
  return {packed_.data(), size};
}

void Sealer::seal(Row& row, const Key& key, std::string_view body, std::string_view evidence,
                  const Digest& before) {
  const auto packed = pack(body, dictionary_, row.header.codec);
  bound_.assign(1, 'B');
  append_canonical(bound_, row.header);
  const std::string canonical = bound_.substr(1);
  row.body = aead_.seal(key, bound_, packed);
  row.body_hash = hash_.add(row.body).finish();
  if (!evidence.empty()) {
    const auto packed_evidence = pack(evidence, nullptr, row.evidence_codec);
    bound_.assign(1, 'E');
    put(bound_, row.evidence_codec);
    bound_ += canonical;
    row.evidence = aead_.seal(key, bound_, packed_evidence);
    row.evidence_hash = hash_.add(*row.evidence).finish();
    // One large item must not keep its size in memory for ever.
    if (packed_.size() > (4u << 20)) {
      packed_.clear();
      packed_.shrink_to_fit();
    }
  }
  row.chain = chain_after(hash_, before, canonical, row.body_hash, row.evidence_hash);
}

std::string Sealer::seal_cursor(const Key& key, const model::ChannelIdentity& channel,
                                std::string_view cursor) {
  bind_cursor(bound_, channel);
  return aead_.seal(key, bound_, cursor);
}

Opener::Opener()
    : decompressor_(ZSTD_createDCtx()),
      dictionary_(ZSTD_createDDict(body_dictionary().data(), body_dictionary().size())) {
  if (!decompressor_ || !dictionary_) throw std::bad_alloc();
}
Opener::~Opener() {
  ZSTD_freeDCtx(decompressor_);
  ZSTD_freeDDict(dictionary_);
}

std::optional<std::string> Opener::unpack(std::optional<std::string> text, std::uint8_t codec) {
  if (!text || codec == kPlain) return text;
  const std::string& frame = *text;
  const auto size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if ((codec != kZstd && codec != kZstdDictionary) || size == ZSTD_CONTENTSIZE_ERROR ||
      size == ZSTD_CONTENTSIZE_UNKNOWN || size > kLongest) {
    return std::nullopt;
  }
  std::string out(size, '\0');
  ZSTD_DCtx_refDDict(decompressor_, codec == kZstdDictionary ? dictionary_ : nullptr);
  const auto got =
      ZSTD_decompressDCtx(decompressor_, out.data(), out.size(), frame.data(), frame.size());
  if (got != size) return std::nullopt;
  return out;
}

std::optional<std::string> Opener::body(const Key& key, const Header& header,
                                        std::string_view sealed) {
  bound_.assign(1, 'B');
  append_canonical(bound_, header);
  return unpack(aead_.open(key, bound_, sealed), header.codec);
}

std::optional<std::string> Opener::evidence(const Key& key, const Header& header,
                                            std::uint8_t codec, std::string_view sealed) {
  bound_.assign(1, 'E');
  put(bound_, codec);
  append_canonical(bound_, header);
  return unpack(aead_.open(key, bound_, sealed), codec);
}

std::optional<std::string> Opener::cursor(const Key& key, const model::ChannelIdentity& channel,
                                          std::string_view sealed) {
  bind_cursor(bound_, channel);
  return aead_.open(key, bound_, sealed);
}

}  // namespace voxbus::journal
