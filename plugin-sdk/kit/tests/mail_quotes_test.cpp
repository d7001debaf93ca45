// SPDX-License-Identifier: Apache-2.0
//
// What the golden mails of the plugin "email" do not show: places, ids, bounds.
#include "kit/mail/quotes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kit/mail/attribution.hpp"
#include "kit/mail/html_reader.hpp"

namespace {

using namespace voxbus::kit::mail;
using ::testing::SizeIs;

NewAndQuoted plain(std::string_view text) { return split_quotes(plain_lines(text)); }
NewAndQuoted html(std::string_view text) {
  const HtmlLines read = html_lines(text);
  return split_quotes(read.lines);
}

TEST(Quotes, PlaceOfABlockIsTheByteBeforeWhichItStood) {
  const NewAndQuoted split = plain("ä\n> q1\nb\n> q2\nc\n> q3\n");
  EXPECT_EQ(split.text, "ä\n\nb\n\nc");
  ASSERT_THAT(split.blocks, SizeIs(3));
  EXPECT_EQ(split.text.substr(*split.blocks[0].quoted.at), "b\n\nc");
  EXPECT_EQ(split.text.substr(*split.blocks[1].quoted.at), "c");
  EXPECT_EQ(*split.blocks[2].quoted.at, split.text.size());
}

TEST(Quotes, OfTwoPeopleAreUnderTwoAttributions) {
  const NewAndQuoted split = plain("Ada wrote:\n> a\n> b\n\nyes\n\n> c\n\nBob wrote:\n> d\n");
  ASSERT_THAT(split.blocks, SizeIs(3));
  EXPECT_EQ(split.blocks[0].attribution, split.blocks[1].attribution);
  EXPECT_NE(split.blocks[1].attribution, split.blocks[2].attribution);
}

TEST(Quotes, OfAForwardedMailAreMarked) {
  const NewAndQuoted split = plain(
      "see\n\nBegin forwarded message:\n\nFrom: Ada <a@example.org>\nSubject: x\nDate: y\n\nwords\n"
      "> older words\n");
  ASSERT_THAT(split.blocks, SizeIs(2));
  EXPECT_TRUE(split.blocks[0].forwarded);
  EXPECT_TRUE(split.blocks[1].forwarded) << "what it quotes is forwarded with it";
  const NewAndQuoted marked = plain(
      "see\n\nBegin forwarded message:\n\n> From: Ada <a@example.org>\n> Subject: x\n> Date: y\n"
      ">\n> words\n");
  ASSERT_THAT(marked.blocks, SizeIs(1));
  EXPECT_TRUE(marked.blocks[0].forwarded) << "its header stands behind marks as well";
  EXPECT_EQ(marked.blocks[0].quoted.depth, 1);
  EXPECT_FALSE(plain("> x\n").blocks[0].forwarded);
}

TEST(Quotes, BelowTheEndOfAForwardedMailAreNotForwarded) {
  const NewAndQuoted split = plain(
      "-- Forwarded message --\nFrom: Ada <a@example.org>\nSubject: x\n\nwords\n"
      "-- End forwarded message --\nnew\n> other words\n");
  EXPECT_EQ(split.text, "new");
  ASSERT_THAT(split.blocks, SizeIs(2));
  EXPECT_TRUE(split.blocks[0].forwarded);
  EXPECT_FALSE(split.blocks[1].forwarded);
  EXPECT_EQ(split.blocks[1].quoted.author, "");
}

TEST(Quotes, HaveTheIdThatMarkupNames) {
  const NewAndQuoted split = html(
      "<blockquote type=cite cite='mid:a%2Bb@example.org'>x</blockquote>y"
      "<blockquote type=cite cite='https://example.org'>z</blockquote>");
  ASSERT_THAT(split.blocks, SizeIs(2));
  EXPECT_EQ(split.blocks[0].quoted.native_id, "a+b@example.org");
  EXPECT_EQ(split.blocks[1].quoted.native_id, "");
}

TEST(Quotes, AreBounded) {
  std::string many;
  for (std::size_t i = 0; i < 2 * kMostBlocks; ++i) many += "> q\na\n";
  const NewAndQuoted split = plain(many);
  EXPECT_THAT(split.blocks, SizeIs(kMostBlocks));
  EXPECT_TRUE(split.cut);
  const NewAndQuoted deep = plain(std::string(1'000'000, '>').append(" x\n"));
  ASSERT_THAT(deep.blocks, SizeIs(1));
  EXPECT_EQ(deep.blocks[0].quoted.depth, kMostDepth);
  EXPECT_FALSE(deep.cut);
  EXPECT_TRUE(plain(std::string(2 * kMostLines, '\n')).cut);
  EXPECT_TRUE(plain(std::string(kMostLineBytes + 1, 'x')).cut);
  EXPECT_TRUE(html("<p>" + std::string(kMostLineBytes + 1, 'x')).cut);
}

TEST(Attribution, IsShownAsItStandsAndIsNoHandle) {
  const auto author = [](std::string_view text) {
    const auto found = find_attribution(text);
    return found ? found->author : "(none)";
  };
  EXPECT_EQ(author("On 5 Jan 2026 10:00, nora...@example.org wrote:"), "nora...@example.org");
  EXPECT_EQ(author("On 5 Jan 2026 10:00, tel:+4755000000 <n@example.org> wrote:"),
            "tel:+4755000000");
  EXPECT_EQ(author("On 5 Jan 2026 10:00, I wrote:"), "(none)");
  EXPECT_EQ(author("Opening hours:"), "(none)");
}

TEST(Html, IsReadWithoutWhatNobodySees) {
  EXPECT_EQ(html_text("a<span style='display: none'>b</span>c"), "ac");
  EXPECT_EQ(html_text("a<div hidden>b<div>c</div>d</div>e"), "ae");
  EXPECT_EQ(html_text("<style>b</style><script>if (a < b) c</script>d"), "d");
  EXPECT_EQ(html_text("a<!-- <b> --> b"), "a b");
  EXPECT_EQ(html_text("<p style='opacity:0.9'>seen</p><p style='opacity:0'>not</p>"), "seen");
}

TEST(Html, FetchesAndExpandsNothing) {
  EXPECT_EQ(html_text("<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>&a;"), "]>&a;");
  EXPECT_EQ(html_text("<iframe src='file:///etc/passwd'></iframe>b"), "b");
}

TEST(Html, KeepsWordsBesideWhatIsBroken) {
  EXPECT_EQ(html_text("1 < 2 <3 & 4 &amp 5 &#x41;&#99999999;"), "1 < 2 <3 & 4 & 5 A\xEF\xBF\xBD");
  EXPECT_EQ(html_text("<a href=\"x>words</a> more"), "words more");
  EXPECT_EQ(html_text("words<!-- never closed"), "words");
  EXPECT_EQ(html_text("words<"), "words<");
  EXPECT_EQ(html_text(std::string_view("a\0b", 3)), std::string("a\0b", 3));
}

}  // namespace
