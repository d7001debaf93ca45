// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <openssl/hmac.h>

#include "../testing.hpp"
#include "base/crypto.hpp"
#include "base/json.hpp"
#include "base/posix.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "base/units.hpp"

namespace voxbus {
namespace {

TEST(Time, ComesBackFromItsOwnForm) {
  for (const auto* text :
       {"2026-11-22T17:43:08Z", "1970-01-01T00:00:00Z", "2026-02-28T23:59:59.000001Z"}) {
    const auto time = parse_rfc3339(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(format_rfc3339(*time), text);
  }
}

TEST(Time, UnderstandsOffsetsAndBareDates) {
  EXPECT_EQ(format_rfc3339(*parse_rfc3339("2026-11-22T17:43:08+02:00")), "2026-11-22T15:43:08Z");
  EXPECT_EQ(format_rfc3339(*parse_rfc3339("2026-11-22T17:43:08-05:30")), "2026-11-22T23:13:08Z");
  EXPECT_EQ(format_rfc3339(*parse_rfc3339("2026-11-22")), "2026-11-22T00:00:00Z");
}

TEST(Time, RefusesWhatIsNone) {
  for (const auto* text :
       {"", "2026", "2026-13-01", "2026-02-30", "2026-11-22T25:00:00Z", "2026-11-22T10:00:00",
        "2026-11-22T10:00:00.Z", "2026-11-22T10:00:00+0200", "yesterday"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
}

TEST(Units, NeedAUnitAndRefuseOverflow) {
  EXPECT_EQ(parse_duration("250ms")->count(), 250);
  EXPECT_EQ(parse_duration("2h")->count(), 7'200'000);
  EXPECT_EQ(parse_duration("0")->count(), 0);
  EXPECT_EQ(*parse_size("64KiB"), 65'536u);
  EXPECT_EQ(*parse_size("2GB"), 2'000'000'000u);
  for (const auto* text : {"30", "s", "-1s", "1.5s", "5 m", "99999999999999999d", "12parsecs"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
  EXPECT_FALSE(parse_size("99999999TiB"));
}

TEST(Text, KnowsWellFormedUtf8) {
  EXPECT_TRUE(is_utf8("plain"));
  EXPECT_TRUE(is_utf8("gr\xC3\xBC\xC3\x9F \xF0\x9F\x9A\x97"));
  for (const auto* bytes : {"\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80",
                            "\xF8\x88\x80\x80\x80"}) {
    EXPECT_FALSE(is_utf8(bytes)) << to_hex(bytes);
    EXPECT_TRUE(is_utf8(utf8_repaired(bytes)));
  }
}

TEST(Text, CutsOnlyBetweenCharacters) {
  const std::string text = "a\xF0\x9F\x9A\x97z";
  for (std::size_t limit = 0; limit <= text.size(); ++limit) {
    EXPECT_TRUE(is_utf8(utf8_prefix(text, limit))) << limit;
    EXPECT_LE(utf8_prefix(text, limit).size(), limit);
  }
}

TEST(Text, GuessesTheMeantWordOnlyWhenItIsNear) {
  const std::vector<std::string> words = {"server", "user", "password"};
  EXPECT_EQ(did_you_mean("sever", words), "server");
  EXPECT_EQ(did_you_mean("passwrod", words), "password");
  EXPECT_EQ(did_you_mean("colour", words), std::nullopt);
}

TEST(Text, HexAndBase64ComeBack) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  EXPECT_EQ(from_hex(to_hex(bytes)), bytes);
  for (std::size_t size = 0; size < 10; ++size) {
    EXPECT_EQ(from_base64(to_base64(bytes.substr(0, size))), bytes.substr(0, size));
  }
  EXPECT_EQ(from_hex("0g"), std::nullopt);
  EXPECT_EQ(from_base64("a"), std::nullopt);
}

// FIPS 180-4 gives the first, RFC 4231 the idea of the second: ours frames its fields with lengths,
// so it is held against OpenSSL's one-shot HMAC over the framed bytes.
TEST(Crypto, HashesAsPublished) {
  EXPECT_EQ(to_hex(as_text(sha256("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Crypto, HmacEqualsOpenSslsOverTheFramedBytes) {
  for (const std::size_t key_size : {1u, 32u, 64u, 65u, 200u}) {
    const std::string key(key_size, 'k');
    Hmac ours(key);
    const std::string framed = std::string("\x05\0\0\0\0\0\0\0hello", 13);
    unsigned char theirs[32];
    unsigned length = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
         reinterpret_cast<const unsigned char*>(framed.data()), framed.size(), theirs, &length);
    for (int round = 0; round < 2; ++round) {  // an object is fresh after each finish
      EXPECT_EQ(to_hex(as_text(ours.add_field("hello").finish())),
                to_hex({reinterpret_cast<char*>(theirs), sizeof theirs}));
    }
  }
}

TEST(Crypto, FieldsDoNotRunIntoEachOther) {
  Hmac hmac("key");
  const auto one = hmac.add_field("ab").add_field("c").finish();
  const auto other = hmac.add_field("a").add_field("bc").finish();
  EXPECT_NE(one, other);
}

TEST(Crypto, OpensOnlyWhatWasSealedForThatPlace) {
  Aead aead;
  const auto key = random_key();
  const auto sealed = aead.seal(key, "row 7", "what the customer said");
  EXPECT_EQ(aead.open(key, "row 7", sealed), "what the customer said");
  EXPECT_EQ(aead.open(key, "row 8", sealed), std::nullopt);
  EXPECT_EQ(aead.open(random_key(), "row 7", sealed), std::nullopt);
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    auto bent = sealed;
    bent[i] = static_cast<char>(bent[i] ^ 1);
    EXPECT_EQ(aead.open(key, "row 7", bent), std::nullopt) << "byte " << i;
    EXPECT_EQ(aead.open(key, "row 7", sealed.substr(0, i)), std::nullopt) << "cut at " << i;
  }
}

TEST(Json, RefusesDepthAndBrokenText) {
  EXPECT_TRUE(json::parse(R"({"a":[1,2]})"));
  EXPECT_FALSE(json::parse(std::string(1000, '[') + std::string(1000, ']')));
  EXPECT_FALSE(json::parse("{\"a\":\"\xC0\xAF\"}"));
  EXPECT_FALSE(json::parse("{} {}"));
}

TEST(Json, WritesEveryByteOfATextSoThatItComesBack) {
  std::string text;
  for (int i = 0; i < 128; ++i) text += static_cast<char>(i);
  text += "\xC3\xBC";
  std::string out;
  json::append_string(out, text);
  const auto back = json::parse(out);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->get_string(), text);
}

TEST(Files, AreReplacedWholeAndReadWithALimit) {
  const test::Folder folder;
  const auto path = folder.path() / "file";
  ASSERT_TRUE(replace_file(path, "one"));
  ASSERT_TRUE(replace_file(path, "two"));
  EXPECT_EQ(*read_file(path), "two");
  EXPECT_FALSE(read_file(path, 2));
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".new"));
  std::filesystem::remove(path);
  EXPECT_FALSE(read_file(path));
}

}  // namespace
}  // namespace voxbus
