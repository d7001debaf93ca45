// SPDX-License-Identifier: Apache-2.0
// Mail to record on one core, beside bare GMime parsing of the same mails: mail_bench [MAILS]
//
// Bare parsing is what any reader of mail must do: the parts found, each part's transfer encoding
// undone. The record is its JSON, as it is handed to the host.

#include <gmime/gmime.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "kit/mail_bytes.hpp"
#include "kit/mail_reader.hpp"

namespace {

std::string words(std::size_t seed, std::size_t count) {
  static constexpr const char* kWords[] = {
      "order",  "parcel", "yesterday", "still",  "waiting", "lamp",    "the",     "refund",
      "please", "call",   "back",      "number", "wrong",   "invoice", "thank",   "you",
      "again",  "broken", "since",     "Monday", "morning", "regards", "support", "late"};
  std::string out;
  std::size_t column = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string word = kWords[(seed * 7 + i * 13 + i * i) % std::size(kWords)];
    if (column + word.size() > 70) out += '\n', column = 0;
    out += (column ? " " : "") + word;
    column += word.size() + 1;
  }
  return out;
}

std::string quoted(const std::string& text) {
  std::string out = "> ";
  for (const char c : text) {
    out += c;
    if (c == '\n') out += "> ";
  }
  return out;
}

// Headers as a mail has them that came over a few servers.
std::string headers(std::size_t i) {
  const std::string n = std::to_string(i);
  std::string out;
  for (int hop = 0; hop < 4; ++hop) {
    out += "Received: from mx" + std::to_string(hop) + ".example.org (mx" + std::to_string(hop) +
           ".example.org [192.0.2.1])\n\tby mail.example.net (Postfix) with ESMTPS id 4711" + n +
           "\n\tfor <support@example.net>; Mon, 5 Jan 2026 10:00:0" + std::to_string(hop) +
           " +0000\n";
  }
  return out +
         "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=mail;\n\tbh=" +
         std::string(44, 'b') + ";\n\tb=" + std::string(170, 'c') +
         "\nFrom: =?utf-8?q?Nora_=C3=98rsted?= <nora" + n +
         "@example.org>\nTo: Support <support@example.net>\nSubject: Re: Lamp " + n +
         "\nDate: Mon, 5 Jan 2026 11:00:00 +0100\nMessage-ID: <" + n +
         "@example.org>\nIn-Reply-To: <a@example.net>\nReferences: <r@example.net>\n "
         "<a@example.net>\n"
         "MIME-Version: 1.0\n";
}

// A mix as support gets it: short plain answers, alternatives with HTML, HTML only, with a picture.
std::string mail(std::size_t i) {
  const std::string own = words(i, 60);
  const std::string attribution = "On Mon, 5 Jan 2026 at 10:00, Ada <ada@example.net> wrote:";
  const std::string plain = own + "\n\n" + attribution + "\n" + quoted(words(i + 1, 120)) + "\n";
  std::string html =
      "<html><head><meta charset=3D\"utf-8\"></head><body><div dir=3D\"ltr\"><p>" + own +
      "</p></div><div class=3D\"gmail_quote\"><div class=3D\"gmail_attr\">On Mon, 5 Jan 2026 at "
      "10:00, "
      "Ada &lt;ada@example.net&gt; wrote:<br></div><blockquote class=3D\"gmail_quote\"><div>" +
      words(i + 1, 120) + "</div></blockquote></div></body></html>\n";
  const std::string plain_part =
      "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" +
      plain;
  const std::string html_part =
      "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" +
      html;
  switch (i % 4) {
    case 0:
      return headers(i) + plain_part;
    case 1:
      return headers(i) + "Content-Type: multipart/alternative; boundary=b\n\n--b\n" + plain_part +
             "--b\n" + html_part + "--b--\n";
    case 2:
      return headers(i) + html_part;
    default: {
      std::string picture;
      for (int line = 0; line < 400; ++line)
        picture += std::string(76, "ABCDEFGH"[line % 8]) + "\n";
      return headers(i) + "Content-Type: multipart/mixed; boundary=m\n\n--m\n" + plain_part +
             "--m\nContent-Type: image/png; name=lamp.png\nContent-Transfer-Encoding: base64\n\n" +
             picture + "--m--\n";
    }
  }
}

void drain(GMimeObject* object) {
  if (GMIME_IS_MULTIPART(object)) {
    const int count = g_mime_multipart_get_count(GMIME_MULTIPART(object));
    for (int i = 0; i < count; ++i) drain(g_mime_multipart_get_part(GMIME_MULTIPART(object), i));
  } else if (GMIME_IS_PART(object)) {
    GMimeDataWrapper* content = g_mime_part_get_content(GMIME_PART(object));
    GMimeStream* memory = g_mime_stream_mem_new();
    if (content) g_mime_data_wrapper_write_to_stream(content, memory);
    g_object_unref(memory);
  }
}

std::size_t bare(const std::string& bytes) {
  GMimeStream* stream = g_mime_stream_mem_new_with_buffer(bytes.data(), bytes.size());
  GMimeParser* parser = g_mime_parser_new_with_stream(stream);
  GMimeMessage* message = g_mime_parser_construct_message(parser, nullptr);
  drain(g_mime_message_get_mime_part(message));
  g_object_unref(message);
  g_object_unref(parser);
  g_object_unref(stream);
  return bytes.size();
}

std::size_t record(const std::string& bytes) {
  const auto read = voxbus::kit::read_mail(bytes, "id", {});
  return read.record.json().size();
}

template<class Work>
double mails_per_second(const std::vector<std::string>& mails, const Work& work) {
  double best = 0;
  std::size_t sink = 0;
  for (int round = 0; round < 3; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (const std::string& one : mails) sink += work(one);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(mails.size()) / took.count());
  }
  if (sink == 0) std::abort();
  return best;
}

}  // namespace

int main(int count, char** arguments) {
  const std::size_t number = count > 1 ? std::strtoul(arguments[1], nullptr, 10) : 4000;
  g_mime_init();
  for (int kind = -1; kind < 4; ++kind) {
    static constexpr const char* kKinds[] = {"plain", "alternative", "html", "picture"};
    std::vector<std::string> mails;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < std::max<std::size_t>(number, 4); ++i) {
      if (kind >= 0 && i % 4 != static_cast<std::size_t>(kind)) continue;
      mails.push_back(mail(i));
      bytes += mails.back().size();
    }
    const double parsed = mails_per_second(mails, bare);
    const double read = mails_per_second(mails, record);
    std::printf("%-11s %7zu mails of %5zu bytes: GMime %8.0f/s, record %8.0f/s, %3.0f %%\n",
                kind < 0 ? "all" : kKinds[kind], mails.size(), bytes / mails.size(), parsed, read,
                100 * read / parsed);
  }
}
