// SPDX-License-Identifier: Apache-2.0
// All of Asio that is not a template, compiled here once: whoever links voxbus::asio sees only
// declarations.
#include <boost/asio/impl/src.hpp>
