// SPDX-License-Identifier: Apache-2.0
#include "model/schemas.hpp"
#include "serve/core.hpp"
#include "serve/handlers.hpp"
#include "serve/problem.hpp"

namespace voxbus::serve {
namespace {

Answer json_answer(const json::value& value) {
  Answer answer;
  answer.body = json::serialize(value) + "\n";
  return answer;
}

json::object journal_object(const journal::Stats& stats) {
  return {{"rows", stats.rows},
          {"groups", stats.groups},
          {"last_commit_ms", static_cast<double>(stats.last_commit.count()) / 1000},
          {"wal_bytes", stats.wal_bytes},
          {"waiting_for_space", stats.waiting_for_space}};
}

json::object whole_status(Core& core) {
  json::object status = core.options.status ? core.options.status() : json::object();
  status["installation"] = core.journal.installation();
  status["version"] = core.options.version;
  if (!status.contains("started")) status["started"] = format_rfc3339(core.started);
  status["end"] = model::format(core.feed.end());
  status["oldest"] = model::format(core.feed.oldest());
  if (!status.contains("channels")) status["channels"] = json::array();
  if (!status.contains("journal")) status["journal"] = journal_object(core.journal.stats());
  return status;
}

}  // namespace

boost::asio::awaitable<Answer> answer_health(Core&, Request) {
  // On the loop itself: the answer says that it turns.
  Answer answer;
  answer.content_type = "text/plain";
  answer.body = "ok\n";
  co_return answer;
}

Answer answer_ready(Core& core, const Request&) {
  if (core.options.not_ready) {
    if (const auto why = core.options.not_ready()) return problem(Slug::unavailable, *why);
  }
  Answer answer;
  answer.content_type = "text/plain";
  answer.body = "ready\n";
  return answer;
}

Answer list_schemas(Core&, const Request&) {
  json::array names;
  for (const auto& schema : model::schemas()) {
    names.push_back(
        json::object{{"name", schema.name}, {"path", "/v1/schemas/" + std::string(schema.name)}});
  }
  return json_answer(json::object{{"schemas", std::move(names)}});
}

Answer show_schema(Core&, const Request& request) {
  for (const auto& schema : model::schemas()) {
    if (schema.name != request.segment(2)) continue;
    Answer answer;
    answer.content_type = "application/schema+json";
    answer.body = schema.text;
    return answer;
  }
  return problem(Slug::not_found, "there is no such schema: GET /v1/schemas lists them");
}

Answer show_status(Core& core, const Request&) {
  auto status = whole_status(core);
  status["consumers"] = core.consumers.list();
  status["connections"] = json::object{{"open", core.connections.load()},
                                       {"streams", core.streams.load()},
                                       {"max", core.options.max_connections}};
  return json_answer(status);
}

Answer list_plugins(Core& core, const Request&) {
  return json_answer(
      json::object{{"plugins", core.options.plugins ? core.options.plugins() : json::array()}});
}

Answer show_channel(Core& core, const Request& request) {
  const auto status = whole_status(core);
  if (const auto* channels = json::array_at(status, "channels")) {
    for (const auto& channel : *channels) {
      if (channel.is_object() && json::text_at(channel.get_object(), "name") == request.segment(2))
        return json_answer(channel);
    }
  }
  return problem(Slug::not_found, "there is no such channel");
}

}  // namespace voxbus::serve
