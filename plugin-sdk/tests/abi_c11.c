/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin in plain C: shows that abi.h alone is enough, and that it compiles as C11. */
#include <stddef.h>
#include <string.h>

#include "voxbus/abi.h"

static const char kManifest[] =
    "{\"id\":\"org.example.plain_c\",\"name\":\"plain_c\",\"version\":\"1.0.0\","
    "\"summary\":\"One item, in C\",\"abi\":{\"major\":0,\"minor\":1},\"capabilities\":[],"
    "\"isolation\":[\"process\"],\"network\":\"none\",\"stop_within\":\"2s\",\"egress\":[],"
    "\"settings\":[]}";

static char the_channel;

static voxbus_view view(const char* text) {
  voxbus_view out = {text, strlen(text)};
  return out;
}

static voxbus_status describe(const voxbus_writer* writer) {
  writer->write(writer, view(kManifest));
  return VOXBUS_OK;
}

static voxbus_status create(const voxbus_host* host, const voxbus_call* call, voxbus_view settings,
                            voxbus_channel** channel) {
  (void)host;
  (void)call;
  (void)settings;
  *channel = (voxbus_channel*)&the_channel;
  return VOXBUS_OK;
}

static void destroy(voxbus_channel* channel) { (void)channel; }

static voxbus_status poll_once(voxbus_channel* channel, const voxbus_call* call,
                               voxbus_view cursor) {
  voxbus_item item;
  voxbus_status status;
  (void)channel;
  if (cursor.size != 0) return VOXBUS_OK;
  memset(&item, 0, sizeof item);
  item.size = sizeof item;
  item.native_id = view("1");
  item.record = view("{\"kind\":\"message\",\"text\":\"hello from C\"}");
  status = call->emit(call, &item);
  if (status != VOXBUS_OK) return status;
  return call->commit(call, view("done"));
}

static void stop(voxbus_channel* channel) { (void)channel; }

static const void* capability(const char* id) {
  (void)id;
  return NULL;
}

VOXBUS_EXPORT const voxbus_plugin voxbus_plugin_entry = {sizeof(voxbus_plugin),
                                                         VOXBUS_ABI_MAJOR,
                                                         VOXBUS_ABI_MINOR,
                                                         "org.example.plain_c",
                                                         "1.0.0",
                                                         describe,
                                                         create,
                                                         destroy,
                                                         poll_once,
                                                         stop,
                                                         capability};
