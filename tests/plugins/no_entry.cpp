// SPDX-License-Identifier: Apache-2.0
// A library, but no plugin: it has no entry.

extern "C" int no_entry_at_all() { return 0; }
