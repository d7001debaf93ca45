// SPDX-License-Identifier: Apache-2.0
// Any bytes are HTML: they have lines, which split; UTF-8 stays UTF-8.

#include "kit/mail/html_reader.hpp"
#include "voxbus/text.hpp"
#include "words_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace voxbus::kit::mail;
  const std::string_view html = bytes_of(data, size);
  const HtmlLines read = html_lines(html);
  check_split(split_quotes(read.lines));
  if (voxbus::is_utf8(html)) demand(voxbus::is_utf8(html_text(html)), "UTF-8 of UTF-8");
  return 0;
}
