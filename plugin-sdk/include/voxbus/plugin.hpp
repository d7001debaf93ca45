// SPDX-License-Identifier: Apache-2.0
//
// VOXBUS_PLUGIN(MyChannel) at the end of a plugin's source makes it a plugin: it defines the one
// exported symbol over a class that has
//   static constexpr voxbus::About kAbout{...};
//   struct Settings { ... void fields(auto& field) { ... } };   // or none at all
//   explicit MyChannel(Settings settings);                      // or MyChannel()
//   Result<void> probe(voxbus::Context& context);               // optional, see Channel
//   Result<Item> reread(std::string_view, std::string_view);    // optional, see Channel
// and derives from voxbus::Channel. Nothing that is thrown crosses the border: every function below
// is noexcept and turns an exception into a status with its message. A poll that threw may have
// left its channel ahead of its cursor, with records taken and never brought: the next poll gets a
// channel made anew from the same settings.
#ifndef VOXBUS_PLUGIN_HPP
#define VOXBUS_PLUGIN_HPP

#include <concepts>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>

#include "voxbus/channel.hpp"
#include "voxbus/manifest.hpp"
#include "voxbus/settings.hpp"

namespace voxbus::detail {

// Behind the opaque voxbus_channel pointer. The poll thread replaces the channel; the others hold
// on to the one that they found.
class Instance {
 public:
  Instance(const voxbus_host* of, std::string_view with) : host{of}, settings{with} {}

  const voxbus_host* const host;
  const std::string settings;  // the text that create() got
  bool in_doubt = false;       // a poll of this channel threw; poll thread only

  std::shared_ptr<Channel> channel() const {
    const std::scoped_lock lock{mutex_};
    return channel_;
  }
  void renew(std::shared_ptr<Channel> channel) {
    const std::scoped_lock lock{mutex_};
    channel_.swap(channel);
    if (stopped_) channel_->stop();
  }
  void stop() noexcept {
    const std::scoped_lock lock{mutex_};
    stopped_ = true;
    channel_->stop();
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<Channel> channel_;
  bool stopped_ = false;
};

inline voxbus_status report(const voxbus_call* call, voxbus_status status, std::string_view message,
                            std::chrono::milliseconds after = {}) noexcept {
  voxbus_failure failure{};
  failure.size = sizeof failure;
  failure.message = view(message.substr(0, 4096));
  failure.retry_after_ms = after.count();
  if (call && VOXBUS_HAS(call, fail) && call->fail) call->fail(call, &failure);
  return status;
}

inline voxbus_status report(const voxbus_call* call, const Error& error) {
  return report(call, error.is_permanent() ? VOXBUS_PERMANENT : VOXBUS_RETRY,
                clip(to_utf8(error.message), 1024), error.retry_after);
}

// Runs the function and turns whatever it throws into a status. A Failure says itself what it
// means; any other exception is the code's own fault: a failed creation is for a person to look at,
// a failed poll is tried again, and the host counts over which record.
template<class Function>
voxbus_status guarded(const voxbus_call* call, voxbus_status fault,
                      const Function& function) noexcept {
  try {
    try {
      return function();
    } catch (const Failure& failure) {
      return report(call, failure.error());
    } catch (const std::bad_alloc&) {
      return report(call, VOXBUS_FAULT, "out of memory");
    } catch (const std::exception& error) {
      return report(call, fault, clip(to_utf8(error.what()), 1024));
    } catch (...) {
      return report(call, fault, "an exception of an unknown type");
    }
  } catch (...) {  // while reporting: there is no memory left even for the words
    return report(call, VOXBUS_FAULT, "out of memory");
  }
}

inline voxbus_status poll_channel(const Instance& instance, const voxbus_call* call,
                                  voxbus_view cursor) {
  Context context{instance.host, call};
  const Cursor since{std::string{text(cursor)}};
  const Result<Batch> batch = instance.channel()->poll(since, context);
  if (!batch) return report(call, batch.error());
  if (!batch->items.empty() && batch->cursor.empty()) {
    return report(call, VOXBUS_PERMANENT, "poll returned items without a cursor that covers them");
  }
  for (const Item& item : batch->items) {
    if (!context.emit(item)) return VOXBUS_STOPPED;
  }
  const bool moved = !batch->items.empty() || batch->cursor != since;
  if (!batch->cursor.empty() && moved && !context.commit(batch->cursor)) return VOXBUS_STOPPED;
  if (context.stopping()) return VOXBUS_STOPPED;
  return batch->more ? VOXBUS_MORE : VOXBUS_OK;
}

template<class Class>
struct SettingsOf {
  using type = NoSettings;
};
template<class Class>
requires requires { typename Class::Settings; }
struct SettingsOf<Class> {
  using type = typename Class::Settings;
};

template<class Class>
struct Plugin {
  static_assert(std::derived_from<Class, Channel>, "a plugin's class derives from voxbus::Channel");
  using Settings = typename SettingsOf<Class>::type;

  static voxbus_status describe(const voxbus_writer* writer) noexcept {
    return guarded(nullptr, VOXBUS_PERMANENT, [&] {
      Settings settings{};
      Fields fields;
      settings.fields(fields);
      Json::Array capabilities;
      if constexpr (CanProbe<Class>) capabilities.emplace_back(VOXBUS_CAPABILITY_PROBE);
      if constexpr (CanReread<Class>) capabilities.emplace_back(VOXBUS_CAPABILITY_REREAD);
      const std::string manifest =
          make_manifest(Class::kAbout, fields, std::move(capabilities)).dump();
      writer->write(writer, view(manifest));
      return VOXBUS_OK;
    });
  }

  // A channel of these settings, or what is wrong with them.
  static Result<std::shared_ptr<Channel>> make(std::string_view text) {
    Settings settings{};
    const Problems problems = read_settings(text, settings);
    if (!problems.empty())
      return Error::permanent(std::string{clip(to_utf8(problems.joined()), 2048)});
    if constexpr (std::constructible_from<Class, Settings>) {
      return std::shared_ptr<Channel>{std::make_shared<Class>(std::move(settings))};
    } else {
      return std::shared_ptr<Channel>{std::make_shared<Class>()};
    }
  }

  static voxbus_status create(const voxbus_host* host, const voxbus_call* call, voxbus_view text,
                              voxbus_channel** channel) noexcept {
    return guarded(call, VOXBUS_PERMANENT, [&]() -> voxbus_status {
      auto made = make(detail::text(text));
      if (!made) return report(call, made.error());
      auto instance = std::make_unique<Instance>(host, detail::text(text));
      instance->renew(std::move(*made));
      *channel = reinterpret_cast<voxbus_channel*>(instance.release());
      return VOXBUS_OK;
    });
  }

  static void destroy(voxbus_channel* channel) noexcept {
    delete reinterpret_cast<Instance*>(channel);
  }

  static voxbus_status poll(voxbus_channel* channel, const voxbus_call* call,
                            voxbus_view cursor) noexcept {
    return guarded(call, VOXBUS_FAULT, [&]() -> voxbus_status {
      auto& instance = *reinterpret_cast<Instance*>(channel);
      if (instance.in_doubt) {
        auto made = make(instance.settings);
        if (!made) return report(call, made.error());
        instance.renew(std::move(*made));
      }
      instance.in_doubt = true;
      const voxbus_status status = poll_channel(instance, call, cursor);
      instance.in_doubt = false;
      return status;
    });
  }

  static void stop(voxbus_channel* channel) noexcept {
    reinterpret_cast<Instance*>(channel)->stop();
  }

  static voxbus_status probe(voxbus_channel* channel, const voxbus_call* call) noexcept {
    return guarded(call, VOXBUS_FAULT, [&]() -> voxbus_status {
      auto& instance = *reinterpret_cast<Instance*>(channel);
      Context context{instance.host, call};
      const auto present = instance.channel();
      const Result<void> able = static_cast<Class&>(*present).probe(context);
      return able ? VOXBUS_OK : report(call, able.error());
    });
  }

  static voxbus_status reread(voxbus_channel* channel, const voxbus_call* call,
                              voxbus_view native_id, voxbus_view raw) noexcept {
    return guarded(call, VOXBUS_FAULT, [&]() -> voxbus_status {
      auto& instance = *reinterpret_cast<Instance*>(channel);
      Context context{instance.host, call};
      const auto present = instance.channel();
      const Result<Item> item =
          static_cast<Class&>(*present).reread(detail::text(native_id), detail::text(raw));
      if (!item) return report(call, item.error());
      return context.emit(*item) ? VOXBUS_OK : VOXBUS_STOPPED;
    });
  }

  static const void* capability(const char* id) noexcept {
    if constexpr (CanProbe<Class>) {
      static constexpr voxbus_probe_1 kProbe{sizeof(voxbus_probe_1), 0, &probe};
      if (id && std::string_view{id} == VOXBUS_CAPABILITY_PROBE) return &kProbe;
    }
    if constexpr (CanReread<Class>) {
      static constexpr voxbus_reread_1 kReread{sizeof(voxbus_reread_1), 0, &reread};
      if (id && std::string_view{id} == VOXBUS_CAPABILITY_REREAD) return &kReread;
    }
    return nullptr;
  }

  static constexpr voxbus_plugin kEntry{sizeof(voxbus_plugin),
                                        VOXBUS_ABI_MAJOR,
                                        VOXBUS_ABI_MINOR,
                                        Class::kAbout.id,
                                        Class::kAbout.version,
                                        &describe,
                                        &create,
                                        &destroy,
                                        &poll,
                                        &stop,
                                        &capability};
};

}  // namespace voxbus::detail

#define VOXBUS_PLUGIN(Class)                                                                   \
  extern "C" {                                                                                 \
  extern VOXBUS_EXPORT const voxbus_plugin voxbus_plugin_entry;                                \
  constinit const voxbus_plugin voxbus_plugin_entry = ::voxbus::detail::Plugin<Class>::kEntry; \
  }                                                                                            \
  static_assert(true)

#endif  // VOXBUS_PLUGIN_HPP
