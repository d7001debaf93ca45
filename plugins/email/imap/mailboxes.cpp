// SPDX-License-Identifier: Apache-2.0
#include "imap/mailboxes.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "imap/names.hpp"

namespace voxbus::email::imap {
namespace {

bool has(const Listed& listed, std::string_view attribute) {
  return std::find(listed.attributes.begin(), listed.attributes.end(), attribute) !=
         listed.attributes.end();
}

// What programs call them, in capitals as far as ASCII goes.
struct Kind {
  std::string_view attribute;
  std::vector<std::string_view> names;
};
const std::array<Kind, 3>& kinds() {
  static const std::array<Kind, 3> kKinds{
      {{"\\JUNK",
        {"JUNK", "JUNK E-MAIL", "JUNK EMAIL", "JUNK MAIL", "SPAM", "BULK MAIL", "SPAMVERDACHT",
         "UNERWüNSCHT", "JUNK-E-MAIL", "POURRIEL", "INDéSIRABLES", "COURRIER INDéSIRABLE",
         "CORREO NO DESEADO", "POSTA INDESIDERATA", "ONGEWENSTE E-MAIL", "WIADOMOśCI-śMIECI",
         "Спам"}},
       {"\\TRASH",
        {"TRASH", "DELETED ITEMS", "DELETED MESSAGES", "DELETED", "BIN", "PAPIERKORB",
         "GELöSCHTE ELEMENTE", "GELöSCHTE OBJEKTE", "CORBEILLE", "ÉLéMENTS SUPPRIMéS", "PAPELERA",
         "ELEMENTOS ELIMINADOS", "CESTINO", "POSTA ELIMINATA", "PRULLENBAK", "VERWIJDERDE ITEMS",
         "LIXEIRA", "KOSZ", "Корзина"}},
       {"\\DRAFTS",
        {"DRAFTS", "DRAFT", "ENTWüRFE", "BROUILLONS", "BORRADORES", "BOZZE", "CONCEPTEN",
         "RASCUNHOS", "SZKICE", "WERSJE ROBOCZE", "Черновики"}}}};
  return kKinds;
}

// Its own name, where it lies where programs make such mailboxes: one of a customer's may be called
// so further down.
std::string own_name(const Listed& listed) {
  std::string name = capitals(shown_name(listed.name));
  if (listed.delimiter.empty()) return name;
  const std::string inbox = "INBOX" + listed.delimiter;
  if (name.starts_with(inbox)) name.erase(0, inbox.size());
  return name.find(listed.delimiter) == name.npos ? name : std::string{};
}

// RFC 9051, 5.1: of all names this one is the same in any case.
std::vector<std::string> with_inbox(std::vector<std::string> names) {
  for (std::string& name : names) {
    if (capitals(name) == "INBOX") name = "INBOX";
  }
  return names;
}

}  // namespace

Chosen chosen(const std::vector<Listed>& listed, const std::vector<std::string>& named) {
  const std::vector<std::string> wanted = with_inbox(named);
  Chosen out;
  std::vector<const Kind*> unmarked;
  for (const Kind& kind : kinds()) {
    if (std::none_of(listed.begin(), listed.end(),
                     [&](const Listed& one) { return has(one, kind.attribute); }))
      unmarked.push_back(&kind);
  }
  const auto is_left_out = [&](const Listed& one) {
    if (has(one, "\\JUNK") || has(one, "\\TRASH") || has(one, "\\DRAFTS") || has(one, "\\ALL"))
      return true;
    const std::string name = own_name(one);
    return std::any_of(unmarked.begin(), unmarked.end(), [&](const Kind* kind) {
      return std::find(kind->names.begin(), kind->names.end(), name) != kind->names.end();
    });
  };
  for (const Listed& one : listed) {
    if (has(one, "\\NOSELECT") || has(one, "\\NONEXISTENT")) continue;
    const bool is_wanted = wanted.empty() ? !is_left_out(one)
                                          : std::find(wanted.begin(), wanted.end(),
                                                      shown_name(one.name)) != wanted.end();
    if (!is_wanted) continue;
    out.names.push_back(one.name);
    if (has(one, "\\SENT")) out.sent.insert(one.name);
  }
  // Where mail arrives first.
  std::stable_partition(out.names.begin(), out.names.end(),
                        [](const std::string& name) { return name == "INBOX"; });
  for (const std::string& name : wanted) {
    if (std::find(out.names.begin(), out.names.end(), wire_name(name)) == out.names.end())
      out.missing.push_back(name);
  }
  return out;
}

}  // namespace voxbus::email::imap
