// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/html_reader.hpp"

#include <algorithm>
#include <vector>

#include "kit/mail/html_elements.hpp"
#include "kit/mail/html_marks.hpp"
#include "kit/mail/html_tokens.hpp"
#include "kit/mail/words.hpp"

namespace voxbus::kit::mail {
namespace {

constexpr std::size_t kMostOpen = 128;  // elements that mean something, inside each other
constexpr std::size_t kMostCites = 1000;
constexpr std::size_t kLongestLink = 2048;

struct Element {
  std::string name;
  std::size_t same = 0;  // elements of this name open inside it
  bool hidden = false;
  bool quote = false;
  bool pre = false;
  Unseen outer;  // what held before it
  LineMark mark = LineMark::kNone;
  std::uint16_t cite = 0;
};

class Reader {
 public:
  explicit Reader(std::string_view html) : tokens_{html} {}

  HtmlLines read() {
    for (HtmlToken token = tokens_.next(); token.kind != HtmlToken::Kind::kEnd;
         token = tokens_.next()) {
      if (full_) break;
      switch (token.kind) {
        case HtmlToken::Kind::kText:
          text(token.text);
          break;
        case HtmlToken::Kind::kOpen:
          open(token);
          break;
        case HtmlToken::Kind::kClose:
          close(token);
          break;
        case HtmlToken::Kind::kEnd:
          break;
      }
    }
    end_line();
    return finish();
  }

 private:
  struct Span {
    std::size_t begin = 0;
    std::size_t end = 0;
    MailLine line;
  };

  void open(const HtmlToken& token) {
    const Tag tag = tag_of(token.name);
    if (tag == Tag::kOther && token.attributes.empty()) return count(token.name);
    // A paragraph ends where the next block begins.
    if (tag != Tag::kOther && tag != Tag::kBreak && tag != Tag::kLink && tag != Tag::kImage &&
        !open_.empty() && open_.back().name == "p") {
      leave(open_.size() - 1);
    }
    const bool plain_tag = token.attributes.size() < 2;
    const std::string style = plain_tag ? std::string{} : compact_style(token.attributes);
    Element element;
    element.hidden = tag == Tag::kUnseen || (!plain_tag && is_gone(token.attributes, style));
    element.outer = unseen_;
    sheets_ = sheets_ || (tag == Tag::kUnseen && equal_ascii(token.name, "style"));
    if (!plain_tag || tag == Tag::kBlock) {
      unseen_ = unseen_within(unseen_, token.name, token.attributes, style, sheets_);
    }
    if (!plain_tag && (tag == Tag::kDiv || tag == Tag::kBlock || tag == Tag::kParagraph ||
                       tag == Tag::kPre || tag == Tag::kQuote || tag == Tag::kOther)) {
      classify(tag, token.attributes, style, element);
    } else if (tag == Tag::kQuote) {
      element.quote = true;
    }
    element.pre = tag == Tag::kPre || declares(style, "white-space:pre-wrap") ||
                  declares(style, "white-space:pre") || declares(style, "white-space:pre-line");
    if (hidden_ == 0 && !element.hidden) shape(tag, token, style);
    if (is_void(token.name)) {
      unseen_ = element.outer;
      return;
    }
    if (element.hidden || element.quote || element.pre || element.mark != LineMark::kNone ||
        unseen_ != element.outer) {
      enter(token.name, std::move(element));
    } else {
      count(token.name);
    }
  }

  void close(const HtmlToken& token) {
    const Tag tag = tag_of(token.name);
    if (hidden_ == 0) unshape(tag);
    for (std::size_t i = open_.size(); i-- > 0;) {
      if (!equal_ascii(open_[i].name, token.name)) continue;
      if (open_[i].same > 0) {
        --open_[i].same;
      } else {
        leave(i);
      }
      return;
    }
  }

  void count(std::string_view name) {
    for (std::size_t i = open_.size(); i-- > 0;) {
      if (equal_ascii(open_[i].name, name)) {
        // Those that need no end tag would never be counted down.
        if (name.size() <= 2 && (equal_ascii(name, "p") || equal_ascii(name, "li"))) return;
        ++open_[i].same;
        return;
      }
    }
  }

  void classify(Tag tag, std::string_view attributes, const std::string& style, Element& element) {
    ProgramMark meant = program_mark(tag, attributes, style);
    element.quote = meant.quote;
    element.mark = meant.mark;
    if (meant.cite.empty() || cites_.size() == kMostCites) return;
    cites_.push_back(std::move(meant.cite));
    element.cite = static_cast<std::uint16_t>(cites_.size());
  }

  void enter(std::string_view name, Element element) {
    if (open_.size() == kMostOpen) {
      unseen_ = element.outer;
      return count(name);
    }
    if (element.quote || element.mark != LineMark::kNone) break_line();
    if (element.quote || element.mark != LineMark::kNone) end_line();
    element.name = lower_ascii(name.substr(0, 32));
    hidden_ += element.hidden ? 1 : 0;
    depth_ += element.quote ? 1 : 0;
    pre_ += element.pre ? 1 : 0;
    if (element.mark != LineMark::kNone) marks_.push_back(element.mark);
    if (element.cite) cited_.push_back(element.cite);
    open_.push_back(std::move(element));
  }

  // Ends the elements from `from` on.
  void leave(std::size_t from) {
    while (open_.size() > from) {
      const Element& element = open_.back();
      if (element.quote || element.mark != LineMark::kNone) end_line();
      hidden_ -= element.hidden ? 1 : 0;
      depth_ -= element.quote ? 1 : 0;
      pre_ -= element.pre ? 1 : 0;
      if (element.mark != LineMark::kNone) marks_.pop_back();
      if (element.cite) cited_.pop_back();
      unseen_ = element.outer;
      open_.pop_back();
    }
  }

  // What an element that begins does to the lines.
  void shape(Tag tag, const HtmlToken& token, const std::string& style) {
    switch (tag) {
      case Tag::kBreak:
        if (line_open_) {
          end_line();
        } else {
          add_blank();
        }
        break;
      case Tag::kParagraph: {
        // Word writes each line as a paragraph without space around it.
        const bool tight =
            starts_with_ascii(html_attribute(token.attributes, "class", 64), "mso") ||
            declares(style, "margin:0") || is_nothing(style, "margin:") ||
            (is_nothing(style, "margin-top:") && is_nothing(style, "margin-bottom:"));
        tight_ = tight;
        break_line();
        if (!tight) space_line();
        break;
      }
      case Tag::kSpaced:
      case Tag::kPre:
        break_line();
        space_line();
        break;
      case Tag::kQuote:
        break_line();
        break;
      case Tag::kItem: {
        break_line();
        std::string bullet = "- ";
        if (!lists_.empty() && lists_.back() > 0) bullet = std::to_string(lists_.back()++) + ". ";
        owed_bullet_ =
            std::string(2 * (lists_.empty() ? 0 : std::min<std::size_t>(lists_.size() - 1, 8)),
                        ' ') +
            bullet;
        break;
      }
      case Tag::kOrdered:
      case Tag::kUnordered:
        break_line();
        if (lists_.empty()) space_line();
        if (lists_.size() < kMostOpen) lists_.push_back(tag == Tag::kOrdered ? 1 : 0);
        break;
      case Tag::kCell:
        if (line_open_) cell_ = true;
        break;
      case Tag::kLink:
        link_ = html_attribute(token.attributes, "href", kLongestLink);
        link_begin_ = bytes_->size();
        break;
      case Tag::kImage: {
        const std::string width = html_attribute(token.attributes, "width", 16);
        const std::string alt = html_attribute(token.attributes, "alt", 1024);
        if (width != "0" && width != "1") words(alt);
        break;
      }
      case Tag::kRow:
      case Tag::kBlock:
      case Tag::kDiv:
      case Tag::kRule:
      case Tag::kBody:
        break_line();
        break;
      default:
        break;
    }
  }

  void unshape(Tag tag) {
    switch (tag) {
      case Tag::kParagraph:
        // An empty one is an empty line, as Word means it.
        if (!line_open_ && nothing_but_space_) add_blank();
        break_line();
        if (!tight_) space_line();
        tight_ = false;
        break;
      case Tag::kSpaced:
      case Tag::kPre:
        break_line();
        space_line();
        break;
      case Tag::kOrdered:
      case Tag::kUnordered:
        break_line();
        if (!lists_.empty()) lists_.pop_back();
        if (lists_.empty()) space_line();
        owed_bullet_.clear();
        break;
      case Tag::kLink:
        close_link();
        break;
      case Tag::kDiv:
        if (!line_open_ && nothing_but_space_) add_blank();
        break_line();
        break;
      case Tag::kItem:
        owed_bullet_.clear();
        break_line();
        break;
      case Tag::kRow:
      case Tag::kBlock:
      case Tag::kQuote:
        break_line();
        break;
      default:
        break;
    }
  }

  void text(std::string_view raw) {
    if (hidden_ > 0 || unseen_.any()) return;
    if (raw.find('&') == raw.npos) return words(raw);
    resolved_.clear();
    append_html_text(resolved_, raw);
    words(resolved_);
  }

  void words(std::string_view text) {
    if (hidden_ > 0 || unseen_.any()) return;
    for (std::size_t i = 0; i < text.size();) {
      const char c = text[i];
      if (pre_ > 0 && (c == '\n' || c == '\r')) {
        if (c == '\n') {
          if (line_open_) {
            end_line();
          } else if (!at_pre_start_) {
            add_blank();
          }
          at_pre_start_ = false;
        }
        ++i;
        continue;
      }
      if (pre_ == 0 && (c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f')) {
        space_ = true;
        ++i;
        continue;
      }
      if (c == '\xC2' && i + 1 < text.size() && text[i + 1] == '\xA0') {
        if (line_open_) {
          space_ = true;
        } else {
          nothing_but_space_ = true;
        }
        i += 2;
        continue;
      }
      // Up to the next blank in one go.
      std::size_t end = i + 1;
      while (end < text.size() && text[end] != ' ' && text[end] != '\n' && text[end] != '\t' &&
             text[end] != '\r' && text[end] != '\f' && text[end] != '\xC2') {
        ++end;
      }
      // Marks of no width, with which preheaders are filled up.
      const std::string_view piece = text.substr(i, end - i);
      if (!line_open_ && pre_ == 0 && is_invisible(piece)) {
        i = end;
        continue;
      }
      put(piece);
      i = end;
    }
  }

  static bool is_invisible(std::string_view piece) {
    while (!piece.empty()) {
      bool cut = false;
      for (const std::string_view mark :
           {kZeroWidth, kNoBreakMark, std::string_view{"\xE2\x80\x8C"},
            std::string_view{"\xE2\x80\x8D"}, std::string_view{"\xCD\x8F"},
            std::string_view{"\xE2\x81\xA0"}, std::string_view{"\xC2\xAD"},
            std::string_view{"\xE2\x80\x87"}}) {
        if (piece.starts_with(mark)) piece.remove_prefix(mark.size()), cut = true;
      }
      if (!cut) return false;
    }
    return true;
  }

  void put(std::string_view piece) {
    const bool fresh = !line_open_;
    if (fresh) start_line();
    if (!fresh && cell_) {
      *bytes_ += "  ";
    } else if (!fresh && space_) {
      *bytes_ += ' ';
    }
    cell_ = false;
    space_ = false;
    if (fresh && !owed_bullet_.empty()) {
      *bytes_ += owed_bullet_;
      owed_bullet_.clear();
    }
    // "- " and such at the very start keep their blank for what follows.
    *bytes_ += piece;
    if (bytes_->size() > kMostLineBytes) full_ = true;
  }

  void start_line() {
    flush_break();
    line_open_ = true;
    nothing_but_space_ = false;
    line_begin_ = bytes_->size();
    if (pre_ == 0) space_ = false;
  }

  void end_line() {
    if (!line_open_) return;
    line_open_ = false;
    cell_ = false;
    // "-- " ends with a blank that matters.
    if (space_ && std::string_view{*bytes_}.substr(line_begin_) == "--") *bytes_ += ' ';
    space_ = false;
    add({line_begin_, bytes_->size(), {}});
  }

  void break_line() {
    end_line();
    space_ = false;
    cell_ = false;
    at_pre_start_ = true;
    nothing_but_space_ = false;
  }

  // An empty line before the next words, however often it is asked for.
  void space_line() { spaced_ = !spans_.empty(); }

  void flush_break() {
    if (spaced_ && !last_blank()) add_blank();
    spaced_ = false;
  }

  bool last_blank() const { return !spans_.empty() && spans_.back().begin == spans_.back().end; }

  void add_blank() {
    nothing_but_space_ = false;
    add({bytes_->size(), bytes_->size(), {}});
  }

  void add(Span span) {
    if (spans_.size() >= kMostLines) {
      full_ = true;
      return;
    }
    span.line.depth = std::min<std::uint32_t>(depth_, kMostDepth);
    span.line.mark = marks_.empty() ? LineMark::kNone : marks_.back();
    span.line.cite = cited_.empty() ? std::uint16_t{0} : cited_.back();
    spans_.push_back(span);
  }

  void close_link() {
    const bool web = link_.starts_with("http://") || link_.starts_with("https://");
    if (web && line_open_ && link_begin_ >= line_begin_ && bytes_->size() > link_begin_) {
      // Shown when the words are not the address themselves: a reader must see where it leads.
      const std::string_view shown = std::string_view{*bytes_}.substr(link_begin_);
      std::string_view bare = link_;
      bare.remove_prefix(bare.find("//") + 2);
      if (bare.ends_with('/')) bare.remove_suffix(1);
      if (shown.size() < 4096 && shown.find(bare) == shown.npos) *bytes_ += " <" + link_ + '>';
    }
    link_.clear();
  }

  HtmlLines finish() {
    HtmlLines out;
    out.lines.cut = full_;
    out.lines.cites = std::move(cites_);
    out.lines.lines.reserve(spans_.size());
    for (const Span& span : spans_) {
      MailLine line = span.line;
      line.text = std::string_view{*bytes_}.substr(span.begin, span.end - span.begin);
      out.lines.lines.push_back(line);
    }
    out.bytes = std::move(bytes_);
    return out;
  }

  HtmlTokens tokens_;
  std::unique_ptr<std::string> bytes_ = std::make_unique<std::string>();
  std::vector<Span> spans_;
  std::vector<std::string> cites_;
  std::vector<Element> open_;
  std::vector<LineMark> marks_;
  std::vector<std::uint16_t> cited_;
  std::vector<int> lists_;  // the next number, 0 without numbers
  std::string owed_bullet_;
  std::string resolved_;
  std::string link_;
  std::size_t link_begin_ = 0;
  std::size_t line_begin_ = 0;
  std::uint32_t depth_ = 0;
  int hidden_ = 0;
  Unseen unseen_;
  bool sheets_ = false;  // of style, so far
  int pre_ = 0;
  bool line_open_ = false;
  bool space_ = false;
  bool cell_ = false;
  bool spaced_ = false;
  bool tight_ = false;
  bool nothing_but_space_ = false;
  bool at_pre_start_ = true;
  bool full_ = false;
};

}  // namespace

HtmlLines html_lines(std::string_view html) { return Reader{html}.read(); }

std::string html_text(std::string_view html) {
  const HtmlLines read = html_lines(html);
  std::string out;
  for (const MailLine& line : read.lines.lines) out.append(line.text) += '\n';
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

}  // namespace voxbus::kit::mail
