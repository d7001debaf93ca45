// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/log.hpp"
#include "bus/consumers_parts.hpp"

namespace voxbus::bus {
namespace {

using Cause = Refusal::Cause;

std::string duration_text(std::chrono::milliseconds duration) {
  const auto count = duration.count();
  return count % 1000 == 0 ? std::to_string(count / 1000) + "s" : std::to_string(count) + "ms";
}

json::object spec_json(const ConsumerSpec& spec) {
  json::object out;
  out["filter"] = spec.filter.to_json();
  out["max_in_flight"] = spec.rules.max_in_flight;
  out["ack_within"] = duration_text(spec.rules.ack_within);
  out["max_deliver"] = spec.rules.max_deliver;
  out["group"] = spec.rules.group;
  return out;
}

// The members in which two specifications differ: "filter, ack_within". Empty: in none.
std::string difference(const ConsumerSpec& one, const ConsumerSpec& other) {
  std::string out;
  const auto compare = [&](std::string_view member, bool same) {
    if (!same) out += (out.empty() ? "" : ", ") + std::string(member);
  };
  compare("filter", one.filter.canonical() == other.filter.canonical());
  compare("group", one.rules.group == other.rules.group);
  compare("max_in_flight", one.rules.max_in_flight == other.rules.max_in_flight);
  compare("ack_within", one.rules.ack_within == other.rules.ack_within);
  compare("max_deliver", one.rules.max_deliver == other.rules.max_deliver);
  return out;
}

}  // namespace

Consumers::Consumers(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Consumers::~Consumers() {
  parts_->all.with([&](auto& consumers) {
    for (auto& [name, handle] : consumers) {
      handle->with([&](Consumer& consumer) {
        if (const auto saved = parts_->save(consumer); !saved) {
          log::warn("consumer {}: {}; some events will be delivered again", consumer.name,
                    saved.error().message);
        }
      });
    }
  });
}

Result<std::unique_ptr<Consumers>> Consumers::open(const std::filesystem::path& directory,
                                                   Feed& feed, const Clock& clock) {
  auto parts = std::make_unique<Parts>(feed, clock);
  VOXBUS_TRY(positions, Positions::open(directory));
  parts->positions = std::move(positions);
  if (parts->positions->is_new() && feed.end().position > 0) {
    log::warn(
        "the consumers' positions are missing in {}, beside a journal that ends at {}: consumers "
        "are to be made again, or the file is to be put back from a backup",
        directory.string(), model::format(feed.end()));
  }
  VOXBUS_CHECK(parts->load());
  return std::unique_ptr<Consumers>(new Consumers(std::move(parts)));
}

// A journal that lost its tail, or an older copy that was put back, no longer has all that this
// consumer had read: it goes on where both lines part, and what it held beyond is forgotten, so
// that nothing of the old line is settled against an event of the new one. Kept at once: the file
// must not speak of the old line any longer.
Status Consumers::Parts::go_back(StoredConsumer& record) {
  auto& state = record.state;
  const model::Sequence head{record.epoch, state.head};
  const auto start = feed.resolve(head);
  if (start.outcome == Start::Outcome::gone) return {};
  auto valid = start.after;
  if (start.outcome == Start::Outcome::invalid) {
    const auto end = feed.end();
    const bool put_back = head.epoch == end.epoch && head.position > end.position;
    // Positions of another journal mean nothing here.
    valid = put_back ? end.position : feed.oldest().position - 1;
  }
  if (valid >= state.head) return {};
  log::warn("consumer {} goes back from {} to {}: the journal no longer has what it had read",
            record.name, model::format(head), model::format(feed.at(valid)));
  std::erase_if(state.open, [&](const auto& open) { return open.position > valid; });
  state.head = valid;
  state.floor = std::min(state.floor, valid);
  VOXBUS_CHECK(positions->forget_parked_after(record.id, valid));
  return positions->save(record.id, feed.at(valid).epoch, state, {}, {});
}

Status Consumers::Parts::load() {
  VOXBUS_TRY(stored, positions->load());
  for (auto& record : stored) {
    const auto parsed = json::parse(record.spec);
    auto request =
        parsed && parsed->is_object()
            ? read_consumer_request(parsed->get_object())
            : Outcome<ConsumerRequest>(refuse(Cause::invalid, "its specification is damaged"));
    if (!request) {
      log::warn("consumer {} cannot be used: {}", record.name, request.error().detail);
      continue;
    }
    VOXBUS_CHECK(go_back(record));
    auto& state = record.state;
    auto handle = std::make_shared<Guarded<Consumer>>(record.name, request->applied_to({}), state);
    handle->with([&](Consumer& consumer) {
      consumer.id = record.id;
      consumer.created = record.created;
      consumer.kept_head = state.head;
    });
    all.with([&](auto& consumers) { consumers.emplace(record.name, std::move(handle)); });
  }
  return {};
}

Status Consumers::Parts::save(Consumer& consumer) {
  if (consumer.removed || (!consumer.unkept && consumer.kept_head == consumer.state.head()))
    return {};
  const auto snapshot = consumer.state.snapshot();
  VOXBUS_CHECK(positions->save(consumer.id, feed.at(snapshot.head).epoch, snapshot, consumer.parked,
                               consumer.taken_up));
  consumer.kept_head = snapshot.head;
  consumer.unkept = false;
  consumer.parked.clear();
  consumer.taken_up.clear();
  return {};
}

void Consumers::Parts::park(Consumer& consumer, const std::vector<model::Position>& which,
                            std::uint32_t attempts) {
  for (const auto position : which) {
    consumer.parked.push_back({position, attempts, format_rfc3339(clock.now())});
    consumer.unkept = true;
    log::warn("consumer {} parked {} after {} deliveries", consumer.name,
              model::format(feed.at(position)), attempts);
  }
}

json::object Consumers::Parts::describe(Consumer& consumer) {
  const auto& state = consumer.state;
  json::object out;
  out["name"] = consumer.name;
  for (auto& [key, value] : spec_json(consumer.spec)) out[key] = value;
  out["floor"] = model::format(feed.at(state.floor()));
  out["in_flight"] = state.in_flight();
  out["waiting"] = state.open() - state.in_flight();
  if (const auto count = positions->parked_count(consumer.id))
    out["parked"] = *count + consumer.parked.size();
  const auto end = feed.end().position;
  out["lag"] = end - std::min(end, state.floor());
  out["created"] = consumer.created;
  return out;
}

Outcome<Consumers::Put> Consumers::put(const std::string& name, const ConsumerRequest& request,
                                       bool update) {
  auto& parts = *parts_;
  if (!is_consumer_name(name)) {
    return refuse(
        Cause::invalid,
        "a consumer's name has up to 64 of a-z 0-9 . _ - and begins with a letter or digit",
        "name");
  }
  const auto start = parts.feed.resolve(request.from);
  if (start.outcome == Start::Outcome::invalid)
    return refuse(Cause::invalid, "from: " + start.problem, "from");
  // Under the lock of all: two that create one name at the same time must not both succeed.
  return parts.all.with([&](auto& consumers) -> Outcome<Put> {
    if (const auto found = consumers.find(name); found != consumers.end()) {
      return found->second->with([&](Consumer& consumer) -> Outcome<Put> {
        auto wanted = request.applied_to(consumer.spec);
        const auto differs = difference(consumer.spec, wanted);
        if (!differs.empty() && !update) {
          return refuse(Cause::conflict, "consumer '" + name + "' exists with another " + differs +
                                             ": leave it out, or add ?update=1 to change it");
        }
        if (!differs.empty()) {
          const auto text = json::serialize(spec_json(wanted));
          if (const auto changed = parts.positions->change_spec(consumer.id, text); !changed)
            return unavailable(changed.error());
          consumer.spec = std::move(wanted);
          consumer.state.set_rules(consumer.spec.rules);
        }
        return Put{false, parts.describe(consumer)};
      });
    }
    if (consumers.size() >= kMaxConsumers)
      return refuse(Cause::too_many, "there are 1,000 consumers already");
    if (start.outcome == Start::Outcome::gone)
      return refuse(Cause::gone, "'from' is no longer held", "from");
    if (start.outcome == Start::Outcome::failed) return refuse(Cause::unavailable, start.problem);
    StoredConsumer stored;
    stored.name = name;
    stored.created = format_rfc3339(parts.clock.now());
    const auto spec = request.applied_to({});
    stored.spec = json::serialize(spec_json(spec));
    stored.epoch = parts.feed.at(start.after).epoch;
    stored.state = {start.after, start.after, {}};
    const auto id = parts.positions->insert(stored);
    if (!id) return unavailable(id.error());
    auto handle = std::make_shared<Guarded<Consumer>>(name, spec, stored.state);
    consumers.emplace(name, handle);
    return handle->with([&](Consumer& consumer) -> Outcome<Put> {
      consumer.id = *id;
      consumer.created = stored.created;
      consumer.kept_head = start.after;
      return Put{true, parts.describe(consumer)};
    });
  });
}

Outcome<json::object> Consumers::show(const std::string& name) {
  const auto handle = parts_->find(name);
  if (!handle) return no_such(name);
  return handle->with([&](Consumer& consumer) { return parts_->describe(consumer); });
}

json::array Consumers::list() {
  const auto handles = parts_->all.with([](const auto& consumers) {
    std::vector<Handle> copies;
    for (const auto& [name, handle] : consumers) copies.push_back(handle);
    return copies;
  });
  json::array out;
  for (const auto& handle : handles) {
    out.push_back(handle->with([&](Consumer& consumer) { return parts_->describe(consumer); }));
  }
  return out;
}

Outcome<bool> Consumers::remove(const std::string& name) {
  auto removed = parts_->all.with([&](auto& consumers) -> Outcome<bool> {
    const auto found = consumers.find(name);
    if (found == consumers.end()) return no_such(name);
    auto gone = found->second->with([&](Consumer& consumer) {
      auto status = parts_->positions->remove(consumer.id);
      consumer.removed = status.has_value();
      return status;
    });
    if (!gone) return unavailable(gone.error());
    consumers.erase(found);
    return true;
  });
  parts_->tell(name);
  return removed;
}

void Consumers::on_change(std::function<void(const std::string&)> listener) {
  parts_->changed = std::move(listener);
}

}  // namespace voxbus::bus
