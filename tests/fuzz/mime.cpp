// SPDX-License-Identifier: Apache-2.0
// The rooms of the mail reader by themselves: charsets, header values, packed text, ids of threads,
// delivery reports. The first byte chooses the charset; the whole mail is the target "mail".

#include <array>

#include "kit/mail/charset.hpp"
#include "kit/mail/encoded_words.hpp"
#include "kit/mail/mail_marks.hpp"
#include "kit/mail/plain_text.hpp"
#include "kit/mail/threads.hpp"
#include "voxbus/text.hpp"
#include "words_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace voxbus::kit::mail;
  static constexpr std::array<const char*, 16> kCharsets{
      "",        "utf-8",   "iso-8859-1", "iso-2022-jp", "gb2312",       "utf-7",  "windows-1251",
      "big5",    "euc-kr",  "shift_jis",  "utf-16",      "unknown-8bit", "koi8-r", "euc-jp",
      "no-such", "us-ascii"};
  const std::string_view all = bytes_of(data, size);
  const std::string_view bytes = all.substr(size == 0 ? 0 : 1);
  const std::string text = decoded(bytes, kCharsets[size == 0 ? 0 : data[0] % kCharsets.size()]);
  demand(voxbus::is_utf8(text), "UTF-8 of any charset");
  (void)html_charset(bytes);
  const std::string header = decoded_header(bytes);
  demand(voxbus::is_utf8(header), "UTF-8 of any header");
  for (const char c : header)
    demand(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F, "one line");
  std::string rest = text;
  (void)take_clear_signature(rest);
  demand(take_inline_files(rest, 4).size() <= 4, "a bounded number of files");
  for (const bool delsp : {false, true}) {
    const FlowedLines flowed = flowed_lines(rest, delsp);
    check_split(split_quotes(flowed.lines));
  }
  for (const std::string& id : message_ids(bytes, 8))
    demand(!id.empty() && id.size() <= 1000, "an id");
  (void)read_thread(
      {.message_id = bytes, .in_reply_to = bytes, .references = bytes, .thread_index = bytes});
  (void)delivery_report(bytes, false).said.dump();
  (void)delivery_report(bytes, true, "1@x").said.dump();
  return 0;
}
