// SPDX-License-Identifier: Apache-2.0
//
// The channel "email": the mails of an IMAP or POP3 account, a Maildir or an mbox file. In a
// process of its own only: GLib, below GMime, ends its process when memory runs out and cannot be
// unloaded.

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "imap/source.hpp"
#include "kit/access.hpp"
#include "maildir.hpp"
#include "mbox.hpp"
#include "pop3/source.hpp"
#include "voxbus/plugin.hpp"

namespace voxbus::email {

namespace {

bool has_any_of(const std::string& text, std::string_view signs) {
  return std::any_of(text.begin(), text.end(), [&](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == '\x7F' || signs.find(c) != signs.npos;
  });
}

// What can be equal to the address of an author. A name beside it, a blank behind it or a domain
// alone never is, and would be passed over without a word.
bool is_bare_address(const std::string& text) {
  const std::size_t at = text.find('@');
  return at != text.npos && at > 0 && at + 1 < text.size() && text.rfind('@') == at &&
         text[at + 1] != '.' && text.back() != '.' && !has_any_of(text, "<>()[],;:\\\"*");
}

// In a command of POP3 a line break begins the next one; no protocol can say the others.
bool has_controls(const std::string& text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return c < ' ' || c == 0x7F; });
}

// What is wrong with a file of certificates to trust, or nothing.
std::string fault_of_authorities(const std::filesystem::path& file) {
  if (auto able = kit::can_read_file(file); !able) return able.error().message;
  const std::unique_ptr<X509_STORE, decltype(&::X509_STORE_free)> store{::X509_STORE_new(),
                                                                        &::X509_STORE_free};
  const bool has_some = store && ::X509_STORE_load_file(store.get(), file.c_str()) == 1;
  ::ERR_clear_error();
  return has_some ? "" : file.string() + " holds no certificate in PEM";
}

// A name or a literal address; no URL, and no port behind it.
bool is_server_name(const std::string& text) {
  const auto colons = std::count(text.begin(), text.end(), ':');
  const bool is_address =
      colons > 1 && text.find_first_not_of("0123456789abcdefABCDEF:.") == text.npos;
  return (colons == 0 || is_address) && !has_any_of(text, "/@[]<>,;?#");
}

}  // namespace

class Email final : public Channel {
 public:
  static constexpr About kAbout{
      .id = "org.voxbus.email",
      .version = "0.1.0",
      .summary = "Mail from an IMAP or POP3 account, a Maildir or an mbox file",
      .network = Network::kOwn,
      .max_item = Size::mebibytes(32)};
  struct Settings {
    std::filesystem::path maildir, mbox, authorities;
    std::string imap, pop3, user, password;
    Tls tls = Tls::kImplicit;
    std::uint32_t port = 0;
    std::chrono::milliseconds check_every = std::chrono::seconds{60};
    std::vector<std::string> folders, addresses, attachments;
    Size max_attachment = Size::mebibytes(8);
    Size max_item = Size::mebibytes(32);

    void fields(auto& field) {
      field("maildir", maildir,
            "The Maildir to read, with its subfolders; this, mbox, imap or pop3")
          .identity();
      field("mbox", mbox, "The mbox file to follow").identity();
      field("imap", imap, "The IMAP server to read from, by its name").identity();
      field("pop3", pop3, "The POP3 server to read from, by its name").identity();
      field("port", port, "Its port; 0: 993 or 995, with STARTTLS 143 or 110")
          .maximum(65535)
          .identity();
      field("tls", tls, "implicit: from the first byte; starttls; none: to this machine only")
          .choices(
              {{"implicit", Tls::kImplicit}, {"starttls", Tls::kStartTls}, {"none", Tls::kNone}});
      field("authorities", authorities,
            "PEM file with the certificates to trust; none: those of the system");
      field("user", user, "Who logs in").identity();
      field("password", password, "The password of the user").secret();
      field("check_every", check_every,
            "How often mailboxes are looked at of which the server tells no news by itself")
          .minimum(std::chrono::milliseconds{100});
      field("folders", folders,
            "Folders by name, INBOX for where mail arrives; none: all of a Maildir, of an account "
            "all but junk, trash and drafts");
      field("addresses", addresses,
            "Our own addresses, each as support@example.org: mail from them is outbound");
      field("attachments", attachments,
            "Types of files that are handed over with their bytes, as image/*; none: no file");
      field("max_attachment", max_attachment, "Larger files are named only")
          .minimum(Size::kibibytes(1))
          .maximum(Size::mebibytes(32));
      field("max_item", max_item, "Larger mails are quarantined with their header only")
          .minimum(Size::kibibytes(1))
          .maximum(Size::mebibytes(32));
    }
    void check(Problems& problems) const {
      const auto has = [](const auto& setting) { return setting.empty() ? 0 : 1; };
      if (has(maildir) + has(mbox) + has(imap) + has(pop3) != 1)
        problems.add("exactly one of 'maildir', 'mbox', 'imap' and 'pop3' is to be set");
      const std::string& host = server();
      if (!host.empty() && (user.empty() || password.empty()))
        problems.add(imap.empty() ? "'pop3' needs 'user' and 'password'"
                                  : "'imap' needs 'user' and 'password'");
      if (!host.empty() && !is_server_name(host))
        problems.add("'" + host + "' in '" + (imap.empty() ? "pop3" : "imap") +
                     "' is not the name of a server alone, like mail.example.org: 'port' and "
                     "'tls' are settings of their own");
      const bool is_here = host == "localhost" || host == "127.0.0.1" || host == "::1";
      if (!host.empty() && tls == Tls::kNone && !is_here)
        problems.add("'tls: none' sends the password for all to read: only to localhost");
      for (const auto& path : {maildir, mbox, authorities}) {
        if (!path.empty() && !path.is_absolute()) {
          problems.add("'" + path.string() + "' is not an absolute path");
        }
      }
      for (const std::string& address : addresses) {
        if (!is_bare_address(address)) {
          problems.add("'" + address +
                       "' in 'addresses' is not a bare address like support@example.org");
        }
      }
      for (const std::string& type : attachments) {
        if (type != "*" && type.find('/') == type.npos) {
          problems.add("'" + type +
                       "' in 'attachments' is not a type like image/png, image/* or *");
        }
      }
      for (const std::string& folder : folders) {
        if (folder.empty())
          problems.add("'folders' holds an empty name: leave 'folders' out to read all of them");
      }
      check_what_has_no_meaning(problems);
      check_login(problems);
      if (authorities.is_absolute()) {
        if (const std::string fault = fault_of_authorities(authorities); !fault.empty())
          problems.add("'authorities': " + fault);
      }
    }
    // Whoever writes such a setting believes that it does something.
    void check_what_has_no_meaning(Problems& problems) const {
      const auto refuse = [&](const char* source, const char* name, bool is_set) {
        if (is_set) problems.add(std::string{source} + " has no '" + name + "'");
      };
      for (const auto& [source, is_it] :
           {std::pair{"a Maildir", !maildir.empty()}, std::pair{"an mbox file", !mbox.empty()}}) {
        const bool alone = is_it && server().empty();
        const Settings usual;
        refuse(source, "port", alone && port != usual.port);
        refuse(source, "tls", alone && tls != usual.tls);
        refuse(source, "authorities", alone && !authorities.empty());
        refuse(source, "user", alone && !user.empty());
        refuse(source, "password", alone && !password.empty());
        refuse(source, "check_every", alone && check_every != usual.check_every);
      }
      refuse("an mbox file", "folders", !mbox.empty() && !folders.empty());
      refuse("a POP3 account", "folders", !pop3.empty() && !folders.empty());
    }
    void check_login(Problems& problems) const {
      const char* const what = " holds a line break or another control character: ";
      if (has_controls(user)) problems.add(std::string{"'user'"} + what + "it is one line");
      if (has_controls(password))
        problems.add(std::string{"'password'"} + what + "its file or credential is one line");
    }
    const std::string& server() const { return imap.empty() ? pop3 : imap; }
  };

  explicit Email(Settings settings) : maildir_{settings.maildir}, mbox_{settings.mbox} {
    mail_ = {.own_addresses = std::move(settings.addresses),
             .keep = {.types = std::move(settings.attachments),
                      .most_bytes = settings.max_attachment.bytes}};
    ReadOptions read{.mail = mail_, .max_item = settings.max_item};
    if (!settings.server().empty()) {
      Server server = server_of(settings);
      Login login{std::move(settings.user), std::move(settings.password)};
      if (settings.imap.empty()) {
        source_ = std::make_unique<pop3::Source>(
            pop3::Account{std::move(server), std::move(login), settings.check_every},
            std::move(read));
      } else {
        source_ =
            std::make_unique<imap::Source>(imap::Account{.server = std::move(server),
                                                         .login = std::move(login),
                                                         .mailboxes = std::move(settings.folders),
                                                         .check_every = settings.check_every},
                                           std::move(read));
      }
    } else if (settings.mbox.empty()) {
      source_ =
          std::make_unique<Maildir>(settings.maildir, std::move(settings.folders), std::move(read));
    } else {
      source_ = std::make_unique<Mbox>(settings.mbox, MboxOptions{.read = std::move(read)});
    }
  }

  Result<void> probe(Context&) {
    if (!mbox_.empty()) return kit::can_read_file(mbox_);
    if (maildir_.empty()) return {};  // the poll says so itself
    for (const char* part : {"new", "cur"}) {
      if (auto able = kit::can_list_folder(maildir_ / part); !able) return able;
    }
    return {};
  }

  Result<Item> reread(std::string_view native_id, std::string_view raw) {
    if (raw.empty())
      return Error::permanent(
          "there is nothing to read: the mail is empty, or the server did not hand it over");
    if (kit::mail_id(raw) != native_id)
      return Error::permanent("only a part of this mail was kept: it was larger than max_item");
    return read_item(std::string{native_id}, std::string{raw}, mail_);
  }

  Result<Batch> poll(const Cursor& since, Context& context) override {
    return source_->poll(since, context);
  }

 private:
  static Server server_of(const Settings& settings) {
    const bool starts_clear = settings.tls != Tls::kImplicit;
    const int usual =
        settings.imap.empty() ? (starts_clear ? 110 : 995) : (starts_clear ? 143 : 993);
    return {.host = settings.server(),
            .port = static_cast<std::uint16_t>(settings.port != 0 ? settings.port : usual),
            .tls = settings.tls,
            .authorities = settings.authorities};
  }

  const std::filesystem::path maildir_, mbox_;
  kit::MailOptions mail_;
  std::unique_ptr<MailSource> source_;
};

}  // namespace voxbus::email

VOXBUS_PLUGIN(voxbus::email::Email);
