// SPDX-License-Identifier: Apache-2.0
#include "unit/journal/store.hpp"

#include <stdlib.h>

#include <fstream>

#include "base/json.hpp"
#include "base/log.hpp"
#include "model/interaction.hpp"

namespace voxbus::journal {

ItemWords post(std::string native_id) { return ItemWords(std::move(native_id)); }

ItemWords::ItemWords(std::string native_id) {
  item_.native_id = std::move(native_id);
  item_.record = R"({"kind":"post","text":""})";
}
ItemWords& ItemWords::says(std::string_view text) {
  item_.record = R"({"kind":"post","text":)";
  json::append_string(item_.record, text);
  item_.record += '}';
  return *this;
}
ItemWords& ItemWords::by(std::string handle) {
  item_.author = std::move(handle);
  return *this;
}
ItemWords& ItemWords::in(std::string conversation) {
  item_.conversation = std::move(conversation);
  return *this;
}
ItemWords& ItemWords::version(std::uint64_t version) {
  item_.version = version;
  return *this;
}
ItemWords& ItemWords::at(TimePoint occurred) {
  item_.occurred = occurred;
  return *this;
}
ItemWords& ItemWords::raw(std::string bytes) {
  item_.raw = std::move(bytes);
  return *this;
}
ItemWords& ItemWords::message(std::string id) {
  item_.message_id = id;
  item_.record = json::serialize(json::object{
      {"kind", "mail"}, {"native", json::object{{"ids", json::object{{"message_id", id}}}}}});
  return *this;
}
ItemWords& ItemWords::quotes(const std::vector<std::string>& ids) {
  auto record = json::parse(item_.record)->as_object();
  json::array blocks;
  for (const auto& id : ids)
    blocks.emplace_back(json::object{{"depth", 1}, {"text", "as was said"}, {"native_id", id}});
  record["quoted"] = std::move(blocks);
  item_.quoted_ids = model::quoted_ids_of(record);
  item_.record = json::serialize(record);
  return *this;
}
ItemWords& ItemWords::withdrawn() {
  item_.withdrawn = true;
  item_.record.clear();
  return *this;
}
ItemWords& ItemWords::backfill() {
  item_.backfill = true;
  return *this;
}
ItemWords& ItemWords::quarantined(std::string_view reason) {
  item_.quarantined = true;
  item_.record = R"({"reason":)";
  json::append_string(item_.record, reason);
  item_.record += '}';
  return *this;
}
ItemWords& ItemWords::digest_of(std::string_view what) {
  digested_ = what;
  return *this;
}
ItemWords::operator model::Item() const {
  auto item = item_;
  item.digest = digested_.empty()
                    ? sha256(item.record + '\0' + item.raw + (item.withdrawn ? "\1" : "\0"))
                    : sha256(digested_);
  return item;
}

void CountingSink::committed(std::uint64_t, std::size_t batches, std::size_t items,
                             std::size_t bytes) {
  count_.with([&](Count& count) {
    count.batches += batches;
    count.items += items;
    count.bytes += bytes;
  });
  count_.notify_all();
}
void CountingSink::wait_for_batches(std::size_t batches) {
  if (!batches_within(batches, seconds(60)))
    throw std::runtime_error("the journal does not commit");
}
bool CountingSink::batches_within(std::size_t batches, milliseconds limit) {
  return count_.when_for(
      limit, [&](const Count& count) { return count.batches >= batches; },
      [](const Count&, bool in_time) { return in_time; });
}
CountingSink::Count CountingSink::count() const {
  return count_.with([](const Count& count) { return count; });
}

Line::Line(Store& store, std::string name, std::string plugin, std::string origin, Begin begin)
    : store_(store), name_(std::move(name)), sink_(std::make_unique<CountingSink>()) {
  auto opening = store_.journal().open_channel({name_, std::move(plugin), std::move(origin)}, begin,
                                               sink_.get());
  if (!opening) throw std::runtime_error(opening.error().message);
  opening_ = std::move(*opening);
  life_ = store_.life();
}
Submit Line::submit(std::vector<model::Item> items, std::optional<std::string> cursor) {
  const auto answer =
      store_.journal().submit(name_, opening_.lease, {std::move(items), std::move(cursor)});
  if (answer == Submit::taken) ++submitted_;
  return answer;
}
void Line::brings(std::vector<model::Item> items, std::optional<std::string> cursor) {
  ASSERT_EQ(submit(std::move(items), std::move(cursor)), Submit::taken);
  settle();
}
void Line::settle() { sink_->wait_for_batches(submitted_); }
void Line::close() {
  // Moved from, or its journal is gone: then nobody calls the sink any more.
  if (!sink_ || !store_.is_open() || store_.life() != life_) return;
  store_.journal().close_channel(name_, opening_.lease);
}

Store::Store(Place place)
    : temporary_(place == Place::disk ? std::filesystem::temp_directory_path()
                                      : test::in_memory()) {
  // Repairs by the hundred; VOXBUS_TEST_LOG shows them.
  log::set_level(::getenv("VOXBUS_TEST_LOG") ? log::level::info : log::level::off);
  options.directory = temporary_.path() / "journal";
  options.installation = "test-installation";
  options.clock = &clock;
  options.reserve_bytes = 64u << 10;
  options.space_retry = milliseconds(5);
  options.on_fatal = [this](const Error& error) {
    fatal_.with([&](auto& errors) { errors.push_back(error.message); });
  };
}
Store::~Store() { close(); }

Journal& Store::open() {
  auto opened = Journal::open(options);
  if (!opened) throw std::runtime_error(opened.error().message);
  journal_ = std::move(*opened);
  ++life_;
  return *journal_;
}
std::string Store::refusal() {
  const auto opened = Journal::open(options);
  return opened ? "" : opened.error().message;
}

Line Store::channel(std::string name, Begin begin, std::string plugin, std::string origin) {
  return Line(*this, std::move(name), std::move(plugin), std::move(origin), begin);
}

Reader& Store::reader() {
  if (!reader_) reader_ = journal_->reader();
  return *reader_;
}
std::vector<model::Event> Store::events(model::Position after) {
  auto events = reader().read(after, 1'000'000, 1u << 30);
  if (!events) throw std::runtime_error(events.error().message);
  return std::move(*events);
}
std::vector<std::string> Store::lines() {
  std::vector<std::string> out;
  for (const auto& event : events()) out.push_back(line_of(event));
  return out;
}
ChannelStats Store::channel_stats(const std::string& name) {
  for (const auto& channel : journal_->stats().channels) {
    if (channel.name == name) return channel;
  }
  return {};
}
Report Store::report() {
  const auto report = verify(options.directory, options.master_key, {});
  if (!report) throw std::runtime_error(report.error().message);
  return *report;
}
void Store::expect_whole() { EXPECT_THAT(report().problems, testing::IsEmpty()); }
std::vector<std::string> Store::fatal() const {
  return fatal_.with([](const auto& errors) { return errors; });
}

std::string line_of(const model::Event& event) {
  // "org.voxbus.interaction.revised.v1"
  std::string type = event.type.substr(std::string_view("org.voxbus.").size());
  type.resize(type.size() - 3);
  constexpr std::string_view interaction = "interaction.";
  if (!type.starts_with(interaction)) return type;
  type.erase(0, interaction.size());
  if (event.body.empty()) return type + " (no body)";
  const auto body = json::parse(event.body);
  if (!body) return type + " (" + body.error().message + ")";
  const auto& data = body->as_object().at("data").as_object();
  type += ' ';
  type += json::text_at(data, "native_id").value_or("?");
  type += '/';
  type += std::to_string(json::integer_at(data, "revision").value_or(-1));
  if (json::flag_at(data, "historic")) type += " historic";
  return type;
}

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write_bytes(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}
std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) out.push_back(entry.path());
  }
  return out;
}
void copy_folder(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::remove_all(to);
  std::filesystem::create_directories(to);
  for (const auto& file : files_below(from)) {
    if (file.filename() == "place") continue;  // the copy stands for the same folder
    const auto target = to / std::filesystem::relative(file, from);
    std::filesystem::create_directories(target.parent_path());
    std::filesystem::copy_file(file, target);
  }
}

}  // namespace voxbus::journal
