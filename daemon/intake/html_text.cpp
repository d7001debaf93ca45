// SPDX-License-Identifier: Apache-2.0
#include "intake/html_text.hpp"

#include <libxml/HTMLparser.h>

#include <algorithm>
#include <array>
#include <new>
#include <string>

namespace voxbus::intake {
namespace {

constexpr std::size_t kMaxHtml = 8 << 20;
constexpr int kMaxDepth = 512;  // deeper elements are flattened into their parent

bool is_one_of(std::string_view name, const auto& names) {
  for (const auto& known : names) {
    if (name == known) return true;
  }
  return false;
}

constexpr std::array<std::string_view, 23> kBlocks = {
    "p",   "div",     "li",      "ul",     "ol",     "tr",   "table",  "blockquote",
    "pre", "h1",      "h2",      "h3",     "h4",     "h5",   "h6",     "hr",
    "dl",  "article", "section", "header", "footer", "form", "address"};
constexpr std::array<std::string_view, 7> kHidden = {"script",   "style",    "head",  "title",
                                                     "template", "noscript", "object"};
constexpr std::array<std::string_view, 10> kSpaced = {"p",  "blockquote", "table", "ul", "ol",
                                                      "h1", "h2",         "h3",    "h4", "pre"};

// SAX events in, text out: no tree is built, so a million nested elements cost no memory.
class Reader {
 public:
  bool exhausted = false;

  void start(std::string_view name, const xmlChar** attributes) {
    ++depth_;
    if (depth_ > kMaxDepth) return;
    if (hidden_at_ == 0 && is_one_of(name, kHidden)) hidden_at_ = depth_;
    if (hidden_at_ != 0) return;
    if (name == "pre") ++preformatted_;
    if (is_one_of(name, kBlocks)) break_line(is_one_of(name, kSpaced));
    if (name == "br") breaks_ = std::min(breaks_ + 1, 2);
    if (name == "li") text("- ");
    if (name == "td" || name == "th") space_ = true;
    if (name == "a") link_ = attribute(attributes, "href"), link_start_ = out_.size();
    if (name == "img") text(attribute(attributes, "alt"));
  }
  void end(std::string_view name) {
    if (depth_ <= kMaxDepth) {
      if (hidden_at_ == depth_) {
        hidden_at_ = 0;
      } else if (hidden_at_ == 0) {
        if (name == "pre" && preformatted_ > 0) --preformatted_;
        if (name == "a") close_link();
        if (is_one_of(name, kBlocks)) break_line(is_one_of(name, kSpaced));
      }
    }
    if (depth_ > 0) --depth_;
  }
  void text(std::string_view words) {
    if (hidden_at_ != 0) return;
    for (std::size_t i = 0; i < words.size(); ++i) {
      const char c = words[i];
      const bool no_break = c == '\xC2' && i + 1 < words.size() && words[i + 1] == '\xA0';
      const bool blank = no_break || c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
      if (preformatted_ > 0 || !blank) {
        put(c);
      } else {
        space_ = true;
        if (no_break) ++i;
      }
    }
  }
  std::string finish() {
    while (!out_.empty() && (out_.back() == '\n' || out_.back() == ' ')) out_.pop_back();
    return std::move(out_);
  }

 private:
  static std::string attribute(const xmlChar** attributes, std::string_view name) {
    for (std::size_t i = 0; attributes && attributes[i]; i += 2) {
      if (name == reinterpret_cast<const char*>(attributes[i]) && attributes[i + 1]) {
        return reinterpret_cast<const char*>(attributes[i + 1]);
      }
    }
    return {};
  }
  void put(char c) {
    if (breaks_ > 0 && !out_.empty()) out_.append(static_cast<std::size_t>(breaks_), '\n');
    if (space_ && breaks_ == 0 && !out_.empty() && out_.back() != '\n') out_ += ' ';
    breaks_ = 0;
    space_ = false;
    out_ += c;
  }
  void break_line(bool spaced) { breaks_ = std::max(breaks_, spaced ? 2 : 1); }
  void close_link() {
    // Shown when the words are not the address themselves: a reader must see where it leads.
    const bool web = link_.starts_with("http://") || link_.starts_with("https://");
    if (web && out_.size() > link_start_ && out_.find(link_, link_start_) == std::string::npos) {
      out_ += " <" + link_ + '>';
    }
    link_.clear();
  }

  std::string out_;
  std::string link_;
  std::size_t link_start_ = 0;
  int depth_ = 0;
  int hidden_at_ = 0;  // the depth at which something unseen began, 0 when all is seen
  int preformatted_ = 0;
  int breaks_ = 0;  // line breaks owed before the next word
  bool space_ = false;
};

// libxml2 is C: nothing may be thrown through it. Out of memory ends the reading, not the process.
template<class Action>
void feed(void* context, Action&& action) noexcept {
  auto& reader = *static_cast<Reader*>(context);
  if (reader.exhausted) return;
  try {
    action(reader);
  } catch (const std::bad_alloc&) {
    reader.exhausted = true;
  }
}

}  // namespace

std::string html_to_text(std::string_view html) {
  htmlSAXHandler sax{};
  sax.startElement = [](void* context, const xmlChar* name, const xmlChar** attributes) {
    feed(context,
         [&](Reader& reader) { reader.start(reinterpret_cast<const char*>(name), attributes); });
  };
  sax.endElement = [](void* context, const xmlChar* name) {
    feed(context, [&](Reader& reader) { reader.end(reinterpret_cast<const char*>(name)); });
  };
  sax.characters = [](void* context, const xmlChar* text, int length) {
    feed(context, [&](Reader& reader) {
      reader.text({reinterpret_cast<const char*>(text), static_cast<std::size_t>(length)});
    });
  };
  sax.ignorableWhitespace = sax.characters;

  Reader out;
  html = html.substr(0, kMaxHtml);
  htmlParserCtxtPtr parser =
      htmlCreatePushParserCtxt(&sax, &out, nullptr, 0, nullptr, XML_CHAR_ENCODING_UTF8);
  if (!parser) return {};
  htmlCtxtUseOptions(
      parser, HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET);
  htmlParseChunk(parser, html.data(), static_cast<int>(html.size()), 1);
  if (parser->myDoc) {
    xmlFreeDoc(parser->myDoc);
    parser->myDoc = nullptr;
  }
  htmlFreeParserCtxt(parser);
  if (out.exhausted) throw std::bad_alloc();
  return out.finish();
}

}  // namespace voxbus::intake
