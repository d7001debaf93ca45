// SPDX-License-Identifier: Apache-2.0
//
// The channel "email": the mails of a Maildir or of an mbox file. In a process of its own only:
// GLib, below GMime, ends its process when memory runs out and cannot be unloaded.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "kit/access.hpp"
#include "maildir.hpp"
#include "mbox.hpp"
#include "voxbus/plugin.hpp"

namespace voxbus::email {

class Email final : public Channel {
 public:
  static constexpr About kAbout{.id = "org.voxbus.email",
                                .version = "0.1.0",
                                .summary = "Mail from a Maildir or an mbox file",
                                .max_item = Size::mebibytes(32)};
  struct Settings {
    std::filesystem::path maildir, mbox;
    std::vector<std::string> folders, addresses;
    Size max_item = Size::mebibytes(32);

    void fields(auto& field) {
      field("maildir", maildir, "The Maildir to read, with its subfolders; this or mbox")
          .identity();
      field("mbox", mbox, "The mbox file to follow; this or maildir").identity();
      field("folders", folders,
            "Folders of the Maildir by name, INBOX for its root; none: all of them");
      field("addresses", addresses, "Our own addresses: mail from them is outbound");
      field("max_item", max_item, "Larger mails are quarantined with their header only")
          .minimum(Size::kibibytes(1))
          .maximum(Size::mebibytes(32));
    }
    void check(Problems& problems) const {
      if (maildir.empty() == mbox.empty()) {
        problems.add("exactly one of 'maildir' and 'mbox' is to be set");
      }
      for (const auto& path : {maildir, mbox}) {
        if (!path.empty() && !path.is_absolute()) {
          problems.add("'" + path.string() + "' is not an absolute path");
        }
      }
      if (!folders.empty() && maildir.empty()) problems.add("'folders' belongs to 'maildir'");
    }
  };

  explicit Email(Settings settings) : maildir_{settings.maildir}, mbox_{settings.mbox} {
    mail_.own_addresses = std::move(settings.addresses);
    ReadOptions read{.mail = mail_, .max_item = settings.max_item};
    if (settings.mbox.empty()) {
      source_ =
          std::make_unique<Maildir>(settings.maildir, std::move(settings.folders), std::move(read));
    } else {
      source_ = std::make_unique<Mbox>(settings.mbox, MboxOptions{.read = std::move(read)});
    }
  }

  Result<void> probe(Context&) {
    if (!mbox_.empty()) return kit::can_read_file(mbox_);
    for (const char* part : {"new", "cur"}) {
      if (auto able = kit::can_list_folder(maildir_ / part); !able) return able;
    }
    return {};
  }

  Result<Item> reread(std::string_view native_id, std::string_view raw) {
    if (kit::mail_id(raw) != native_id)
      return Error::permanent("only a part of this mail was kept: it was larger than max_item");
    return read_item(std::string{native_id}, std::string{raw}, mail_);
  }

  Result<Batch> poll(const Cursor& since, Context& context) override {
    return source_->poll(since, context);
  }

 private:
  const std::filesystem::path maildir_, mbox_;
  kit::MailOptions mail_;
  std::unique_ptr<MailSource> source_;
};

}  // namespace voxbus::email

VOXBUS_PLUGIN(voxbus::email::Email);
