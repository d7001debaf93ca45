// SPDX-License-Identifier: Apache-2.0
#include "base/json.hpp"
#include "base/text.hpp"
#include "unit/journal/store.hpp"

namespace voxbus::journal {
namespace {

using testing::ElementsAre;

// Quotes name the event that they repeat, by the message id that it carries.
class QuotedMessages : public testing::Test {
 protected:
  // The events that the quotes of the newest row name, "-" for one without.
  std::vector<std::string> named() {
    const auto body = json::parse(store.events().back().body, 64);
    std::vector<std::string> out;
    const auto* data = json::object_at(body->get_object(), "data");
    for (const auto& block : *json::array_at(*data, "quoted")) {
      out.emplace_back(json::text_at(block.get_object(), "interaction").value_or("-"));
    }
    return out;
  }
  std::string id_at(model::Position position) {
    return to_hex(as_text(store.events().at(position - 1).id));
  }
  static std::string_view as_text(const Mac& mac) {
    return {reinterpret_cast<const char*>(mac.data()), mac.size()};
  }

  Store store;
};

TEST_F(QuotedMessages, AreNamedWithinABatchAndLater) {
  store.open();
  store.channel().brings({post("a").message("m1"), post("b").message("m2").quotes({"m1", "none"})});
  EXPECT_THAT(named(), ElementsAre(id_at(1), "-"));
  store.channel().brings({post("c").quotes({"m2", "m1", "m2"})});
  EXPECT_THAT(named(), ElementsAre(id_at(2), id_at(1), id_at(2)));
  store.expect_whole();
}

TEST_F(QuotedMessages, AreNamedOverChannelsByTheFirstThatCarriedThem) {
  store.open();
  store.channel("sales").brings({post("a").message("m1")});
  store.channel("support").brings({post("a").message("m1")});
  store.channel("support").brings({post("b").quotes({"m1"})});
  EXPECT_THAT(named(), ElementsAre(id_at(1)));
}

TEST_F(QuotedMessages, AreNamedAfterARestartAndAfterTheIndexWasLost) {
  store.open();
  store.channel().brings({post("a").message("m1").by("mailto:nora@example.org"),
                          post("b").message("m2"), post("c").message("m2")});
  store.reopen();
  store.channel().brings({post("d").quotes({"m1", "m2"})});
  EXPECT_THAT(named(), ElementsAre(id_at(1), id_at(2)));
  store.close();
  std::filesystem::remove_all(store.file("index"));
  store.open();
  store.channel().brings({post("e").quotes({"m1", "m2"})});
  EXPECT_THAT(named(), ElementsAre(id_at(1), id_at(2)));
  store.expect_whole();
}

// An event says what was known when it was recorded.
TEST_F(QuotedMessages, AreNotNamedBackward) {
  store.open();
  store.channel().brings({post("b").quotes({"m1"})});
  EXPECT_THAT(named(), ElementsAre("-"));
  store.channel().brings({post("a").message("m1")});
  EXPECT_THAT(store.lines(), ElementsAre("received b/1", "received a/1"));
}

TEST_F(QuotedMessages, AreNotNamedByWhatCouldNotBeReadOrWasWithdrawn) {
  store.open();
  store.channel().brings({post("a").message("m1").quarantined("broken"),
                          post("b").message("m2").withdrawn(), post("c").quotes({"m1", "m2"})});
  EXPECT_THAT(named(), ElementsAre("-", "-"));
  store.channel().brings({post("d").message("m1"), post("e").quotes({"m1"})});
  EXPECT_THAT(named(), ElementsAre(id_at(4)));
}

TEST_F(QuotedMessages, KeepTheirFirstEventWhenItIsRevised) {
  store.open();
  store.channel().brings({post("a").message("m1").version(1).raw("1")});
  store.channel().brings({post("a").message("m1").version(2).raw("2")});
  store.channel().brings({post("b").quotes({"m1"})});
  EXPECT_THAT(store.lines(), ElementsAre("received a/1", "revised a/2", "received b/1"));
  EXPECT_THAT(named(), ElementsAre(id_at(1)));
}

}  // namespace
}  // namespace voxbus::journal
