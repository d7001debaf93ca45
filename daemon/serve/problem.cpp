// SPDX-License-Identifier: Apache-2.0
#include "serve/problem.hpp"

#include "base/text.hpp"

namespace voxbus::serve {
namespace {

struct Form {
  std::string_view slug, title;
  unsigned status;
};

Form form_of(Slug slug) {
  switch (slug) {
    case Slug::bad_request:
      return {"bad-request", "The request cannot be understood", 400};
    case Slug::unauthorised:
      return {"unauthorised", "A valid token is required", 401};
    case Slug::forbidden:
      return {"forbidden", "This is not permitted", 403};
    case Slug::not_found:
      return {"not-found", "There is nothing here", 404};
    case Slug::method_not_allowed:
      return {"method-not-allowed", "This cannot be done here", 405};
    case Slug::not_acceptable:
      return {"not-acceptable", "The answer has no such form", 406};
    case Slug::conflict:
      return {"conflict", "It contradicts what is there", 409};
    case Slug::gone:
      return {"gone", "This is no longer held", 410};
    case Slug::too_large:
      return {"too-large", "The request is too large", 413};
    case Slug::timeout:
      return {"timeout", "The request did not come in time", 408};
    case Slug::header_too_large:
      return {"header-too-large", "The header of the request is too large", 431};
    case Slug::unsupported_media:
      return {"unsupported-media", "The body has an unknown type", 415};
    case Slug::too_many:
      return {"too-many", "Too much at once", 429};
    case Slug::internal:
      return {"internal", "An internal fault", 500};
    case Slug::not_implemented:
      return {"not-implemented", "This part of HTTP is not known here", 501};
    case Slug::unavailable:
      return {"unavailable", "Not at this moment", 503};
  }
  return {"internal", "An internal fault", 500};
}

}  // namespace

Answer problem(Slug slug, std::string_view detail, const json::object& further) {
  const auto form = form_of(slug);
  json::object document;
  document["type"] = "urn:voxbus:problem:" + std::string(form.slug);
  document["title"] = form.title;
  document["status"] = form.status;
  document["detail"] = utf8_repaired(detail);
  for (const auto& [key, value] : further) document[key] = value;
  Answer answer;
  answer.status = form.status;
  answer.content_type = "application/problem+json";
  answer.body = json::serialize(document);
  if (slug == Slug::unauthorised)
    answer.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"voxbus\"");
  if (slug == Slug::too_many || slug == Slug::unavailable)
    answer.headers.emplace_back("Retry-After", "1");
  return answer;
}

Answer bad_parameter(std::string_view parameter, std::string_view detail) {
  json::object further;
  further["parameter"] = utf8_repaired(parameter);
  return problem(Slug::bad_request, detail, further);
}

Answer gone(const bus::Feed& feed) {
  json::object further;
  further["oldest"] = model::format(feed.oldest());
  return problem(Slug::gone,
                 "events before the oldest fell to retention: begin again with from=beginning",
                 further);
}

Answer problem(const bus::Refusal& refusal, const bus::Feed& feed) {
  using Cause = bus::Refusal::Cause;
  switch (refusal.cause) {
    case Cause::invalid:
      return refusal.parameter.empty() ? problem(Slug::bad_request, refusal.detail)
                                       : bad_parameter(refusal.parameter, refusal.detail);
    case Cause::not_found:
      return problem(Slug::not_found, refusal.detail);
    case Cause::conflict:
      return problem(Slug::conflict, refusal.detail);
    case Cause::gone:
      return gone(feed);
    case Cause::too_many:
      return problem(Slug::too_many, refusal.detail);
    case Cause::unavailable:
      break;
  }
  return problem(Slug::unavailable, refusal.detail);
}

Answer problem(const Error& error) {
  return problem(error.kind == Error::Kind::retry ? Slug::unavailable : Slug::internal,
                 error.message);
}

}  // namespace voxbus::serve
