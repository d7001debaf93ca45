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
    std::vector<std::string> folders, addresses, attachments;
    Size max_attachment = Size::mebibytes(8);
    Size max_item = Size::mebibytes(32);

    void fields(auto& field) {
      field("maildir", maildir, "The Maildir to read, with its subfolders; this or mbox")
          .identity();
      field("mbox", mbox, "The mbox file to follow; this or maildir").identity();
      field("folders", folders,
            "Folders of the Maildir by name, INBOX for its root; none: all of them");
      field("addresses", addresses, "Our own addresses: mail from them is outbound");
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
      if (maildir.empty() == mbox.empty()) {
        problems.add("exactly one of 'maildir' and 'mbox' is to be set");
      }
      for (const auto& path : {maildir, mbox}) {
        if (!path.empty() && !path.is_absolute()) {
          problems.add("'" + path.string() + "' is not an absolute path");
        }
      }
      for (const std::string& type : attachments) {
        if (type != "*" && type.find('/') == type.npos) {
          problems.add("'" + type +
                       "' in 'attachments' is not a type like image/png, image/* or *");
        }
      }
      if (!folders.empty() && maildir.empty()) problems.add("'folders' belongs to 'maildir'");
    }
  };

  explicit Email(Settings settings) : maildir_{settings.maildir}, mbox_{settings.mbox} {
    ReadOptions read{.mail = {.own_addresses = std::move(settings.addresses),
                              .keep = {.types = std::move(settings.attachments),
                                       .most_bytes = settings.max_attachment.bytes}},
                     .max_item = settings.max_item};
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

  Result<Batch> poll(const Cursor& since, Context& context) override {
    return source_->poll(since, context);
  }

 private:
  const std::filesystem::path maildir_, mbox_;
  std::unique_ptr<MailSource> source_;
};

}  // namespace voxbus::email

VOXBUS_PLUGIN(voxbus::email::Email);
