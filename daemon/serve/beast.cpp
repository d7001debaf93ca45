// SPDX-License-Identifier: Apache-2.0
// All of Beast that is not a template, compiled here once.
#include <boost/beast/src.hpp>
