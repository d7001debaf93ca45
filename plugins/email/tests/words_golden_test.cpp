// SPDX-License-Identifier: Apache-2.0
//
// Golden mails for new and quoted words: golden/words/README.md says how they are written. Each
// must be split as its file says, and over all of them precision and recall of new words are
// measured.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kit/mail_reader.hpp"

namespace {

struct Block {
  std::uint32_t depth = 1;
  std::string author;
  std::uint64_t at = 0;
  std::string text;
};

struct Golden {
  std::string file, name, mail, text, signature;
  std::vector<Block> blocks;
  bool open = false;
};

constexpr std::string_view kHeaders =
    "From: Carol <carol@example.org>\nTo: support@example.net\nSubject: Re: Lamp\n"
    "Date: Tue, 06 Jan 2026 09:00:00 +0100\nMessage-ID: <2.carol@example.org>\n"
    "In-Reply-To: <1.support@example.net>\nMIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n";

std::string without_last_breaks(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

// Takes the marks "{1}" out of the expected text and gives the blocks their places.
void place(Golden& golden) {
  const std::string marked = without_last_breaks(golden.text);
  golden.text.clear();
  for (std::size_t at = 0; at < marked.size();) {
    const std::size_t close = marked.find('}', at);
    if (marked[at] == '{' && at + 1 < marked.size() && marked[at + 1] >= '1' &&
        marked[at + 1] <= '9' && close != marked.npos && close - at <= 4) {
      const auto number = std::strtoul(marked.c_str() + at + 1, nullptr, 10);
      ASSERT_LE(number, golden.blocks.size()) << golden.name << " has no such block";
      golden.blocks[number - 1].at = golden.text.size();
      at = close + 1;
    } else {
      golden.text += marked[at++];
    }
  }
  // A mark at the very end stands in a line of its own.
  const std::size_t length = without_last_breaks(golden.text).size();
  golden.text.resize(length);
  for (Block& block : golden.blocks) block.at = std::min<std::uint64_t>(block.at, length);
}

const std::string kFitted = std::string{GOLDEN} + "/words";
const std::string kUnseen = kFitted + "/unseen";

std::vector<Golden> read_goldens(const std::string& folder) {
  std::vector<Golden> all;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator{folder}) {
    if (entry.path().extension() == ".mails") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& path : files) {
    std::ifstream file{path, std::ios::binary};
    std::string nowhere;
    std::string* into = &nowhere;
    const std::size_t first = all.size();
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with("@@ ")) {
        into->append(line) += '\n';
        continue;
      }
      const std::string rest = line.substr(3);
      const std::string what = rest.substr(0, rest.find(' '));
      const std::string value = rest.size() > what.size() ? rest.substr(what.size() + 1) : "";
      if (what == "plain" || what == "html" || what == "mail") {
        all.push_back({.file = path.filename(), .name = value, .open = value.ends_with("(open)")});
        into = &all.back().mail;
        if (what != "mail") {
          into->append(kHeaders)
              .append("Content-Type: text/")
              .append(what)
              .append("; charset=utf-8\n\n");
        }
      } else if (what == "new") {
        into = &all.back().text;
      } else if (what == "quoted") {
        const std::size_t blank = std::min(value.find(' '), value.size());
        all.back().blocks.push_back(
            {.depth = static_cast<std::uint32_t>(std::strtoul(value.c_str(), nullptr, 10)),
             .author = blank < value.size() ? value.substr(blank + 1) : ""});
        into = &all.back().blocks.back().text;
      } else if (what == "signature") {
        into = &all.back().signature;
      } else {
        ADD_FAILURE() << path << ": what is '@@ " << what << "'?";
      }
    }
    for (std::size_t i = first; i < all.size(); ++i) {
      for (Block& block : all[i].blocks) block.text = without_last_breaks(block.text);
      all[i].signature = without_last_breaks(all[i].signature);
      place(all[i]);
    }
  }
  return all;
}

// Words: runs of letters and digits; bytes above ASCII are letters.
std::map<std::string, int> words_of(const std::string& text) {
  std::map<std::string, int> out;
  std::string word;
  for (const char c : text + " ") {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
    if (letter) {
      word += c;
    } else if (!word.empty()) {
      ++out[word];
      word.clear();
    }
  }
  return out;
}

std::string shown(const std::string& text, const std::vector<Block>& blocks,
                  const std::string& signature) {
  std::string out = "@@ new\n" + text + "\n";
  for (const Block& block : blocks) {
    out += "@@ quoted " + std::to_string(block.depth) + " " + block.author + " {at " +
           std::to_string(block.at) + "}\n" + block.text + "\n";
  }
  if (!signature.empty()) out += "@@ signature\n" + signature + "\n";
  return out;
}

struct Split {
  std::string text, signature;
  std::vector<Block> blocks;
};

Split split(const std::string& mail) {
  const auto read = voxbus::kit::read_mail(mail, "id", {});
  EXPECT_FALSE(read.unreadable) << *read.unreadable;
  Split out{.text = read.record.text};
  for (const auto& quoted : read.record.quoted) {
    out.blocks.push_back({quoted.depth, quoted.author, quoted.at.value_or(0), quoted.text});
  }
  for (const auto& [name, value] : read.record.native.more) {
    if (name == "signature" && value.string()) out.signature = *value.string();
  }
  return out;
}

bool is_right(const Golden& golden) {
  const Split got = split(golden.mail);
  return shown(golden.text, golden.blocks, golden.signature) ==
         shown(got.text, got.blocks, got.signature);
}

// How many mails the sets had on 2026-11-23: a measure over fewer would prove less.
constexpr std::size_t kFewestFitted = 500;
constexpr std::size_t kFewestUnseen = 66;
constexpr double kLeast = 0.98;  // precision and recall, of both sets and of the unseen alone

struct Measure {
  std::size_t mails = 0;
  double shared = 0;
  double found = 0;
  double wanted = 0;

  double precision() const { return shared / found; }
  double recall() const { return shared / wanted; }

  void add(const Golden& golden) {
    ++mails;
    const auto right = words_of(golden.text);
    const auto got = words_of(split(golden.mail).text);
    for (const auto& [word, count] : right) wanted += count;
    for (const auto& [word, count] : got) {
      found += count;
      const auto in_both = right.find(word);
      if (in_both != right.end()) shared += std::min(count, in_both->second);
    }
  }
};

std::ostream& operator<<(std::ostream& out, const Measure& measure) {
  return out << measure.mails << " mails, " << measure.wanted << " new words: precision "
             << measure.precision() << ", recall " << measure.recall();
}

TEST(WordsGolden, EveryMailIsSplitAsAPersonWouldSplitIt) {
  std::set<std::string> names;
  for (const Golden& golden : read_goldens(kFitted)) {
    EXPECT_TRUE(names.insert(golden.file + golden.name).second) << "twice: " << golden.name;
    const Split got = split(golden.mail);
    const std::string expected = shown(golden.text, golden.blocks, golden.signature);
    const std::string actual = shown(got.text, got.blocks, got.signature);
    if (golden.open) {
      EXPECT_NE(actual, expected) << golden.name << " is read rightly: take (open) off";
    } else {
      EXPECT_EQ(actual, expected) << golden.file << ": " << golden.name;
    }
  }
}

TEST(WordsGolden, PrecisionAndRecallOfNewWordsAreHighOnMailsOldAndUnseen) {
  Measure fitted;
  for (const Golden& golden : read_goldens(kFitted)) fitted.add(golden);
  Measure both = fitted;
  Measure unseen;
  std::size_t right = 0;
  for (const Golden& golden : read_goldens(kUnseen)) {
    both.add(golden);
    unseen.add(golden);
    if (is_right(golden)) {
      ++right;
    } else {
      std::cout << "not as a person would split it: " << golden.file << ": " << golden.name << "\n";
    }
  }
  std::cout << "fitted: " << fitted << "\nunseen: " << unseen << ", " << right
            << " split exactly\nboth: " << both << "\n";
  RecordProperty("precision", std::to_string(both.precision()));
  RecordProperty("recall", std::to_string(both.recall()));
  EXPECT_GE(fitted.mails, kFewestFitted);
  EXPECT_GE(unseen.mails, kFewestUnseen);
  EXPECT_GE(both.precision(), kLeast);
  EXPECT_GE(both.recall(), kLeast);
  // The reader was made for the first set: only the second says what it does with other mails.
  EXPECT_GE(unseen.precision(), kLeast);
  EXPECT_GE(unseen.recall(), kLeast);
}

}  // namespace
