// SPDX-License-Identifier: Apache-2.0
#include "journal/decider.hpp"

#include <gtest/gtest.h>

#include <set>

namespace voxbus::journal {
namespace {

Mac mac(std::string_view text) {
  Mac out{};
  std::copy_n(sha256(text).begin(), out.size(), out.begin());
  return out;
}

struct Rules : testing::Test {
  std::set<KeyId> unusable;
  Decider decider{{}, [this](KeyId id) { return !unusable.contains(id); }};
  std::uint64_t group = 0;
  TimePoint now{std::chrono::hours(1000)};

  Rules() { next_group(); }
  std::optional<ClockStep> next_group(std::uint64_t written = 0) {
    return decider.begin_group(++group, written, now);
  }
  static Candidate item(std::string_view native, std::string_view content) {
    Candidate out;
    out.native = mac(native);
    out.content = mac(content);
    return out;
  }
  static Candidate withdrawal(std::string_view native) {
    auto out = item(native, "withdrawn");
    out.withdrawn = true;
    return out;
  }
  static Candidate versioned(Candidate item, std::uint64_t version) {
    item.version = version;
    return item;
  }
  static Candidate by(std::string_view author, Candidate item) {
    item.author = mac(author);
    return item;
  }
  Outcome decide(const Candidate& candidate) { return decider.decide(candidate).outcome; }
};

TEST_F(Rules, NumberPositionsFromOneWithoutHoles) {
  EXPECT_EQ(decider.decide(item("a", "1")).state.position, 1u);
  EXPECT_EQ(decide(item("a", "1")), Outcome::duplicate);
  EXPECT_EQ(decider.decide(item("b", "1")).state.position, 2u);
  EXPECT_EQ(decider.last_position(), 2u);
}

TEST_F(Rules, DropAnItemThatEqualsTheLatest) {
  EXPECT_EQ(decide(item("a", "1")), Outcome::first);
  EXPECT_EQ(decide(item("a", "1")), Outcome::duplicate);
}

TEST_F(Rules, NumberRevisionsWithinOneGroupAndAcrossGroups) {
  EXPECT_EQ(decider.decide(item("a", "1")).state.revision, 1u);
  EXPECT_EQ(decider.decide(item("a", "2")).state.revision, 2u);
  next_group();
  const auto third = decider.decide(item("a", "3"));
  EXPECT_EQ(third.outcome, Outcome::revised);
  EXPECT_EQ(third.state.revision, 3u);
}

TEST_F(Rules, BelieveTheIndexWhereNothingNewerIsRemembered) {
  auto candidate = item("a", "2");
  candidate.stored = NativeState{7, 3, kReceived, std::nullopt, 90, mac("1")};
  const auto decision = decider.decide(candidate);
  EXPECT_EQ(decision.outcome, Outcome::revised);
  EXPECT_EQ(decision.state.revision, 8u);
}

TEST_F(Rules, PreferWhatIsRememberedToAnIndexThatIsBehind) {
  EXPECT_EQ(decide(item("a", "2")), Outcome::first);
  auto candidate = item("a", "2");
  candidate.stored = NativeState{1, 0, kReceived, std::nullopt, 0, mac("1")};
  EXPECT_EQ(decide(candidate), Outcome::duplicate);
}

TEST_F(Rules, ForgetAGroupOnceTheIndexHasIt) {
  EXPECT_EQ(decide(item("a", "1")), Outcome::first);
  next_group(/*written=*/1);
  // Nothing stored comes with it, so whoever remembers would say duplicate.
  EXPECT_EQ(decide(item("a", "1")), Outcome::first);
}

TEST_F(Rules, IgnoreAnOlderVersion) {
  EXPECT_EQ(decide(versioned(item("a", "2"), 20)), Outcome::first);
  EXPECT_EQ(decide(versioned(item("a", "1"), 10)), Outcome::out_of_order);
  EXPECT_EQ(decide(versioned(item("a", "3"), 30)), Outcome::revised);
}

TEST_F(Rules, TakeAnEqualVersionWithOtherContentAsARevision) {
  EXPECT_EQ(decide(versioned(item("a", "1"), 10)), Outcome::first);
  EXPECT_EQ(decide(versioned(item("a", "2"), 10)), Outcome::revised);
}

TEST_F(Rules, MakeAWithdrawalTheNextRevision) {
  EXPECT_EQ(decide(item("a", "1")), Outcome::first);
  const auto decision = decider.decide(withdrawal("a"));
  EXPECT_EQ(decision.outcome, Outcome::withdrawn);
  EXPECT_EQ(decision.state.revision, 2u);
  EXPECT_EQ(decide(withdrawal("a")), Outcome::duplicate);
}

TEST_F(Rules, KeepAWithdrawalOfSomethingUnknownAndItsOriginalOut) {
  EXPECT_EQ(decider.decide(withdrawal("a")).state.revision, 1u);
  EXPECT_EQ(decide(item("a", "1")), Outcome::late);
  EXPECT_EQ(decide(versioned(item("a", "1"), 5)), Outcome::late);
}

TEST_F(Rules, KeepAnOriginalOutWhoseVersionIsNotNewerThanItsWithdrawal) {
  EXPECT_EQ(decide(versioned(withdrawal("a"), 20)), Outcome::withdrawn);
  EXPECT_EQ(decide(versioned(item("a", "1"), 10)), Outcome::late);
  EXPECT_EQ(decide(versioned(item("a", "1"), 20)), Outcome::late);
}

TEST_F(Rules, BringBackWhatANewerVersionRestores) {
  EXPECT_EQ(decide(versioned(item("a", "1"), 5)), Outcome::first);
  EXPECT_EQ(decide(withdrawal("a")), Outcome::withdrawn);
  EXPECT_EQ(decide(versioned(item("a", "1"), 5)), Outcome::late);
  EXPECT_EQ(decide(versioned(item("a", "1"), 6)), Outcome::revised);
}

TEST_F(Rules, CallTheFirstReadableStateReceivedWhateverItsRevision) {
  EXPECT_EQ(decide(versioned(withdrawal("a"), 1)), Outcome::withdrawn);
  const auto decision = decider.decide(versioned(item("a", "1"), 2));
  EXPECT_EQ(decision.outcome, Outcome::first);
  EXPECT_EQ(decision.state.revision, 2u);
}

TEST_F(Rules, StoreAQuarantinedItemAgainOnceItCanBeRead) {
  auto broken = item("a", "bytes");
  broken.quarantined = true;
  EXPECT_EQ(decide(broken), Outcome::quarantined);
  EXPECT_EQ(decide(broken), Outcome::duplicate);
  EXPECT_EQ(decide(item("a", "bytes")), Outcome::first);
  EXPECT_EQ(decide(broken), Outcome::duplicate);
}

TEST_F(Rules, CallWhatIsReadAnewARevision) {
  auto broken = item("a", "bytes");
  broken.quarantined = true;
  const auto at = decider.decide(broken).state.position;
  auto anew = item("a", "bytes");
  anew.reparsed = at;
  EXPECT_EQ(decide(anew), Outcome::revised);
  EXPECT_EQ(decide(anew), Outcome::duplicate);
  EXPECT_EQ(decide(item("a", "other bytes")), Outcome::revised) << "it counts as received";
}

TEST_F(Rules, KeepOutWhatIsReadAnewOfSomethingThatIsNotTheLatest) {
  auto broken = item("a", "bytes");
  broken.quarantined = true;
  const auto at = decider.decide(broken).state.position;
  EXPECT_EQ(decide(item("a", "newer bytes")), Outcome::first);
  auto anew = item("a", "bytes");
  anew.reparsed = at;
  EXPECT_EQ(decide(anew), Outcome::duplicate);
}

TEST_F(Rules, TellAFactOnce) {
  auto fact = item("up", "");
  fact.fact = true;
  EXPECT_EQ(decide(fact), Outcome::first);
  const auto again = decider.decide(fact);
  EXPECT_EQ(again.outcome, Outcome::duplicate);
  EXPECT_EQ(again.state.position, 1u);
}

TEST_F(Rules, GiveEachAuthorAKeyAndKeepIt) {
  EXPECT_EQ(decider.decide(by("nora", item("a", "1"))).state.key, 1u);
  EXPECT_EQ(decider.decide(by("omar", item("b", "1"))).state.key, 2u);
  EXPECT_EQ(decider.decide(by("nora", item("c", "1"))).state.key, 1u);
  next_group();
  EXPECT_EQ(decider.decide(by("omar", item("d", "1"))).state.key, 2u);
  EXPECT_EQ(decider.next_key(), 3u);
}

TEST_F(Rules, SealWhatHasNoAuthorUnderTheSystemKey) {
  EXPECT_EQ(decider.decide(item("a", "1")).state.key, kSystemKey);
}

TEST_F(Rules, KeepAWithdrawalUnderTheKeyOfWhatItWithdraws) {
  EXPECT_EQ(decider.decide(by("nora", item("a", "1"))).state.key, 1u);
  EXPECT_EQ(decider.decide(withdrawal("a")).state.key, 1u);
}

TEST_F(Rules, GiveAnErasedAuthorWhoSpeaksAgainANewKey) {
  EXPECT_EQ(decider.decide(by("nora", item("a", "1"))).state.key, 1u);
  unusable.insert(1);
  EXPECT_EQ(decider.decide(by("nora", item("b", "1"))).state.key, 2u);
  EXPECT_EQ(decider.decide(withdrawal("a")).state.key, kSystemKey);
}

TEST_F(Rules, PassOverSlotsThatRotted) {
  unusable = {1, 2};
  EXPECT_EQ(decider.decide(by("nora", item("a", "1"))).state.key, 3u);
}

TEST_F(Rules, NeverLetRecordedTimeGoBack) {
  const auto first = decider.decide(item("a", "1")).recorded;
  now -= std::chrono::minutes(30);
  EXPECT_FALSE(next_group());
  EXPECT_EQ(decider.decide(item("b", "1")).recorded, first);
  now += std::chrono::hours(1);
  EXPECT_FALSE(next_group());
  EXPECT_EQ(decider.decide(item("c", "1")).recorded, now);
}

TEST_F(Rules, SayOnceThatTheClockWentBackByMoreThanAnHour) {
  const auto before = now;
  now -= std::chrono::hours(2);
  const auto step = next_group();
  ASSERT_TRUE(step);
  EXPECT_EQ(step->from, before);
  EXPECT_EQ(step->to, now);
  EXPECT_FALSE(next_group());
  now = before + seconds(1);
  EXPECT_FALSE(next_group());
  now -= std::chrono::hours(2);
  EXPECT_TRUE(next_group());
}

}  // namespace
}  // namespace voxbus::journal
