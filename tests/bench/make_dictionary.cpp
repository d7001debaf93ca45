// SPDX-License-Identifier: Apache-2.0
// Makes daemon/journal/dictionary.cpp: what the bodies of rows have in common, for zstd. A further
// dictionary is a further codec: rows that were sealed with this one need it for ever.
//   voxbus export --since 2026-01-01T00:00:00Z | make_dictionary > daemon/journal/dictionary.cpp
// From the events it reads come only the statistics of how often bytes, lengths and offsets occur;
// the words that it holds are those below.
#define ZDICT_STATIC_LINKING_ONLY
#include <zdict.h>

#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

namespace {

// What is frequent stands last: there it is nearest.
constexpr char kContent[] =
    R"("reason":"reparsed","truncated":true,"report":{"status":"failed","list":"<","protection":")"
    R"("encrypted","charset_guessed":"auto":"auto-replied","signature":"","permalink":"https://www.)"
    R"("profile":"https://","addresses":["tel:+","attachments":[{"name":".pdf","type":)"
    R"("application/pdf","image/png","image/jpeg","size":1,"sha256":"},"language":"en","call":{)"
    R"("direction":"incoming","disposition":"answered","no answer","busy","waited_seconds":)"
    R"("talked_seconds":0,"agent":"queue":""kind":"call","kind":"post","kind":"message",)"
    R"("audience":"public","direction":"outbound"" und die der nicht für mit que pour les des de la )"
    R"( en el you for your with have this that please thank and the ","quoted":[{"depth":1,)"
    R"("author":"","at":0,"text":"","native_id":"}],"occurred_at":"2026-01-01T00:00:00Z","native":)"
    R"({"ids":{"message_id":"@mail.gmail.com"},"to":["support@"],"reply_to":[""],"cc":["},"raw":)"
    R"("0001.0000000000000000"}}{"time":"2026-01-01T00:00:00.000000Z","datacontenttype":)"
    R"("application/json","dataschema":"urn:voxbus:schema:interaction.v1","data":{"channel":"mail",)"
    R"("plugin":"org.voxbus.email","native_id":"","revision":1,"historic":false,"kind":"mail",)"
    R"("direction":"inbound","audience":"private","author":{"handle":"mailto:","name":""},)"
    R"("conversation":"","in_reply_to":"","title":"Re: ","text":")";

}  // namespace

int main() {
  std::string samples;
  std::vector<std::size_t> sizes;
  for (std::string line; std::getline(std::cin, line);) {
    const auto body = line.find(R"("time":")");  // an event's envelope before it is no part of it
    if (body == line.npos) continue;
    samples += '{';
    samples.append(line, body);
    sizes.push_back(line.size() - body + 1);
  }
  std::string made(sizeof kContent + 4096, '\0');
  ZDICT_params_t parameters{};
  parameters.compressionLevel = 1;
  const auto size = ZDICT_finalizeDictionary(made.data(), made.size(), kContent,
                                             sizeof kContent - 1, samples.data(), sizes.data(),
                                             static_cast<unsigned>(sizes.size()), parameters);
  if (ZDICT_isError(size)) {
    std::cerr << ZDICT_getErrorName(size) << '\n';
    return 1;
  }
  std::printf(
      "// SPDX-License-Identifier: Apache-2.0\n"
      "// Made by tests/bench/make_dictionary.cpp; never to be changed.\n"
      "#include \"journal/dictionary.hpp\"\n\nnamespace voxbus::journal {\nnamespace {\n\n"
      "constexpr unsigned char kDictionary[] = {");
  for (std::size_t i = 0; i < size; ++i) {
    std::printf("%s0x%02x,", i % 16 == 0 ? "\n    " : " ", static_cast<unsigned char>(made[i]));
  }
  std::printf(
      "};\n\n}  // namespace\n\nstd::string_view body_dictionary() {\n"
      "  return {reinterpret_cast<const char*>(kDictionary), sizeof kDictionary};\n}\n\n"
      "}  // namespace voxbus::journal\n");
}
