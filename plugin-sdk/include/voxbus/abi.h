/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Voxbus plugin ABI, major 0. This C11 header is the only contract between a plugin and the
 * program that loads it; everything else under voxbus/ is a convenience over it.
 *
 * A plugin is a shared object that exports exactly one symbol, the constant `voxbus_plugin_entry`.
 * The host reads its size and version, calls `create` once per channel, then `poll` again and
 * again.
 *
 * Rules that hold for every declaration below:
 *  - Every struct starts with its own size in bytes, filled in by whoever made it. Structs are only
 *    ever appended to. Read a member only if it lies within the size you were given.
 *    `voxbus_view` is the exception: two words, frozen for ever, therefore safe to embed.
 *  - No structure that may grow is embedded in another or laid in an array, except by pointer.
 *  - Nothing changes owner. A view is valid until the function it was passed to returns; what must
 *    live longer is copied by whoever needs it.
 *  - No exception, no longjmp and no C++ type crosses a function of this header.
 *  - Each function names its lane in brackets:
 *      [poll]   the host's polling thread; calls are serial
 *      [act]    the host's acting thread (reply, find_sent, webhook, probe, reread); calls are
 * serial, and may run while a [poll] call runs [lane]   either of them, whichever called into the
 * plugin [any]    any thread, at any time while the channel lives [setup]  no other call of this
 * channel is running
 *  - Growth within a major is by capability id, "name/revision", in both directions. An id that a
 *    side does not know is answered with NULL, never with an error.
 *
 * Major 0 may still change. It freezes as major 1 once nine plugins use it.
 */
#ifndef VOXBUS_ABI_H
#define VOXBUS_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VOXBUS_ABI_MAJOR 0
#define VOXBUS_ABI_MINOR 1

#define VOXBUS_ENTRY_SYMBOL "voxbus_plugin_entry"

#if defined(__GNUC__)
#define VOXBUS_EXPORT __attribute__((visibility("default")))
#else
#define VOXBUS_EXPORT
#endif

/* Bytes that belong to somebody else. Text is UTF-8 and not terminated. Frozen: it never grows. */
typedef struct voxbus_view {
  const char* data; /* may be NULL only when size is 0 */
  uint64_t size;    /* bytes */
} voxbus_view;

/* What a call came to. Unknown values are to be read as VOXBUS_RETRY. */
typedef int32_t voxbus_status;
enum {
  /* Done; of poll: nothing more for now, wait for the next turn. */
  VOXBUS_OK = 0,
  /* Of poll only: done, and there is more, call again at once. */
  VOXBUS_MORE = 1,
  /* Stop was asked for: return soon; what was not committed is fetched again. */
  VOXBUS_STOPPED = 2,
  /* Of examine only: pass this record over, the host has quarantined it. */
  VOXBUS_SKIP = 3,
  /* Failed, and may succeed later by itself. */
  VOXBUS_RETRY = 4,
  /* Failed, and stays so until a person changes something. */
  VOXBUS_PERMANENT = 5,
  /* The callee has no such function. */
  VOXBUS_UNSUPPORTED = 6,
  /* The caller broke a rule of this header; nothing was done. After a refused item no commit of the
     same call is taken any more, because its cursor would cover that item. */
  VOXBUS_MISUSE = 7,
  /* Failed by a fault of the callee's own code, such as an exception that nobody expected: like
     VOXBUS_RETRY, but when it comes three times over the record that was examined last, that record
     is quarantined. */
  VOXBUS_FAULT = 8
};

/* Flags of an item. */
enum {
  /* `version` orders the states of this native id. */
  VOXBUS_ITEM_HAS_VERSION = 1u << 0,
  /* `occurred_at` is known. */
  VOXBUS_ITEM_HAS_OCCURRED = 1u << 1,
  /* Deleted or hidden upstream; record and raw may be empty. */
  VOXBUS_ITEM_WITHDRAWN = 1u << 2,
  /* Fetched to fill a gap or history: always historic. */
  VOXBUS_ITEM_BACKFILL = 1u << 3,
  /* Quarantine this: raw holds the bytes, record is {"reason": "..."}. */
  VOXBUS_ITEM_UNREADABLE = 1u << 4
};

/* A file that came with an item. The host keeps its bytes only where the channel asks for it. */
typedef struct voxbus_attachment {
  uint32_t size; /* sizeof(voxbus_attachment) */
  uint32_t reserved;
  voxbus_view name;  /* as the sender named it, UTF-8, may be empty */
  voxbus_view media; /* media type such as "image/png"; empty means application/octet-stream */
  voxbus_view bytes; /* the content */
} voxbus_attachment;

/* One thing that happened on the channel. */
typedef struct voxbus_item {
  uint32_t size;         /* sizeof(voxbus_item) */
  uint32_t flags;        /* VOXBUS_ITEM_... */
  voxbus_view native_id; /* the channel's own stable name of it: the same thing has the same id
                            however it arrives (poll, webhook, backfill). One above 1024 bytes or
                            with control characters is shown by its digest, an item without one is
                            quarantined. */
  uint64_t version;      /* with HAS_VERSION: a higher one is newer (an edit time, a counter) */
  int64_t occurred_at;   /* with HAS_OCCURRED: microseconds since 1970-01-01 UTC */
  voxbus_view record;    /* the interaction as a JSON object, by schema "record.v1" */
  voxbus_view raw;       /* the bytes it was made from, may be empty */
  const voxbus_attachment* const* attachments; /* may be NULL when the count is 0 */
  uint64_t attachment_count;
} voxbus_item;

/* Why a call failed, in words for an administrator. */
typedef struct voxbus_failure {
  uint32_t size; /* sizeof(voxbus_failure) */
  uint32_t reserved;
  voxbus_view message;    /* names the object, the act and the remedy; never a secret */
  int64_t retry_after_ms; /* the earliest sensible next try in milliseconds, 0 when unknown */
} voxbus_failure;

/*
 * One call into the plugin, made by the host, valid until that call returns. Functions take the
 * call itself as their first argument.
 */
typedef struct voxbus_call voxbus_call;
struct voxbus_call {
  uint32_t size; /* sizeof(voxbus_call) */
  uint32_t reserved;

  /* Hands one item to the host, which copies it. Blocks while the host has no room (back-pressure);
     returns VOXBUS_OK, VOXBUS_STOPPED (the item was not taken) or VOXBUS_MISUSE. What it says may
     be as wrong as it likes: then it is quarantined, and VOXBUS_OK. [lane] */
  voxbus_status (*emit)(const voxbus_call* call, const voxbus_item* item);

  /* "All that I emitted so far is covered by this cursor." At most 65,536 bytes, opaque to the
     host. It becomes durable in one transaction with the items before it, never without them. A
     later poll, perhaps in another process, gets the newest durable one. [poll] */
  voxbus_status (*commit)(const voxbus_call* call, voxbus_view cursor);

  /* "I am about to parse this." Call it before hostile bytes are touched. If an earlier run died
     while examining the same id, the answer is VOXBUS_SKIP: the host has quarantined the bytes,
     and the plugin moves its cursor past the record without parsing it. [lane] */
  voxbus_status (*examine)(const voxbus_call* call, voxbus_view native_id, voxbus_view raw);

  /* Says why the plugin is about to return VOXBUS_RETRY or VOXBUS_PERMANENT; or, where it goes on
     and returns or waits as if all were well, what keeps a part of it from working: the channel is
     shown as degraded with these words meanwhile. The last one of a call counts. [lane] */
  void (*fail)(const voxbus_call* call, const voxbus_failure* failure);

  /* Non-zero once stop was asked for. [any] */
  int32_t (*stopping)(const voxbus_call* call);

  /* A descriptor that becomes readable when stop is asked for; for poll(2) and C libraries. It
     belongs to the host: never read or close it. [any] */
  int32_t (*wake_fd)(const voxbus_call* call);
};

/* What the host offers for as long as the channel lives. */
typedef struct voxbus_host voxbus_host;
struct voxbus_host {
  uint32_t size; /* sizeof(voxbus_host) */
  uint16_t abi_major;
  uint16_t abi_minor;

  /* A service of the host by id, such as "log/1", as a pointer to its own struct; NULL when
     unknown. It lives as long as the channel. [any] */
  const void* (*service)(const voxbus_host* host, const char* id);
};

/* Service "log/1": one line for the journal, with the channel's name added. */
#define VOXBUS_SERVICE_LOG "log/1"
enum { VOXBUS_LOG_DEBUG = 0, VOXBUS_LOG_INFO = 1, VOXBUS_LOG_WARNING = 2, VOXBUS_LOG_ERROR = 3 };
typedef struct voxbus_log_1 {
  uint32_t size; /* sizeof(voxbus_log_1) */
  uint32_t reserved;
  /* Rate-limited by the host; never a secret, never a customer's words. [any] */
  void (*write)(const voxbus_host* host, int32_t level, voxbus_view message);
} voxbus_log_1;

/* Service "clock/1": the host's time, which tests can set. */
#define VOXBUS_SERVICE_CLOCK "clock/1"
typedef struct voxbus_clock_1 {
  uint32_t size; /* sizeof(voxbus_clock_1) */
  uint32_t reserved;
  int64_t (*now)(const voxbus_host* host); /* microseconds since 1970-01-01 UTC. [any] */
} voxbus_clock_1;

/* Service "waiting/1": "I have fetched all there is, and now wait for more." By it the host tells a
   waiting poll from a hung one, and a test ends the call there instead of after some time. A call
   that shows no sign of life for five minutes is taken for hung and its process ended: neither
   waiting() nor a function of voxbus_call (stopping() is the cheapest) was called, and it did not
   return. After waiting() silence may last for ever, until the next such call. */
#define VOXBUS_SERVICE_WAITING "waiting/1"
typedef struct voxbus_waiting_1 {
  uint32_t size; /* sizeof(voxbus_waiting_1) */
  uint32_t reserved;
  void (*waiting)(const voxbus_host* host); /* [lane] */
} voxbus_waiting_1;

/* A channel of the plugin's own making; the host only carries the pointer. */
typedef struct voxbus_channel voxbus_channel;

/* Receives a text in pieces. */
typedef struct voxbus_writer voxbus_writer;
struct voxbus_writer {
  uint32_t size; /* sizeof(voxbus_writer) */
  uint32_t reserved;
  void (*write)(const voxbus_writer* writer, voxbus_view piece);
};

/* The one exported symbol is a constant of this type, named voxbus_plugin_entry. */
typedef struct voxbus_plugin {
  uint32_t size; /* sizeof(voxbus_plugin) as the plugin was compiled */
  uint16_t abi_major;
  uint16_t abi_minor;
  const char* id;      /* reverse domain name, "org.example.guestbook", terminated */
  const char* version; /* "1.0.0", terminated */

  /* Writes the manifest as one JSON object (plugin-sdk/docs/manifest.md). Pure: no file, no
     socket, no thread. Used at build time and by the conformance kit. [setup] */
  voxbus_status (*describe)(const voxbus_writer* writer);

  /* Makes a channel from its settings, a JSON object that fits the manifest. Does no input or
     output beyond checking its arguments and returns at once. On success *channel is set, else
     `call->fail` says why. `host` outlives the channel. [setup] */
  voxbus_status (*create)(const voxbus_host* host, const voxbus_call* call, voxbus_view settings,
                          voxbus_channel** channel);

  /* Frees the channel; every thread and descriptor it made is gone when this returns. [setup] */
  void (*destroy)(voxbus_channel* channel);

  /* Fetches what is new since `cursor` (empty at the first poll of an origin): examine, emit,
     commit, in that order, as often as it takes. May wait for something to arrive as long as it
     watches wake_fd. Returns VOXBUS_OK, VOXBUS_MORE, VOXBUS_STOPPED, VOXBUS_RETRY,
     VOXBUS_PERMANENT or VOXBUS_FAULT. [poll] */
  voxbus_status (*poll)(voxbus_channel* channel, const voxbus_call* call, voxbus_view cursor);

  /* Asks every running call to return; they do within the manifest's stop deadline, after which
     the process is killed. Never blocks. [any] */
  void (*stop)(voxbus_channel* channel);

  /* A capability of the plugin by id ("reply/1"), as a pointer to its own struct; NULL when it has
     none. [setup] */
  const void* (*capability)(const char* id);
} voxbus_plugin;

/* Capability "probe/1": can this channel work right now? Opens what the settings name, reads
   nothing of it, changes nothing. VOXBUS_OK, or call->fail says why not. */
#define VOXBUS_CAPABILITY_PROBE "probe/1"
typedef struct voxbus_probe_1 {
  uint32_t size; /* sizeof(voxbus_probe_1) */
  uint32_t reserved;
  voxbus_status (*probe)(voxbus_channel* channel, const voxbus_call* call); /* [act] */
} voxbus_probe_1;

/* Capability "reread/1": makes an item anew from the raw bytes that an earlier run handed over, so
   that a mended parser reads what was quarantined. Examines nothing, commits nothing, opens
   nothing, emits one item with that native id: UNREADABLE again where it still cannot be read. Any
   other id is misuse. VOXBUS_OK, or call->fail says why nothing came of it. */
#define VOXBUS_CAPABILITY_REREAD "reread/1"
typedef struct voxbus_reread_1 {
  uint32_t size; /* sizeof(voxbus_reread_1) */
  uint32_t reserved;
  voxbus_status (*reread)(voxbus_channel* channel, const voxbus_call* call, voxbus_view native_id,
                          voxbus_view raw); /* [act] */
} voxbus_reread_1;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* VOXBUS_ABI_H */
