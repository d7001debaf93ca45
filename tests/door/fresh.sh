#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Both commands of the README in a Debian 12 that has nothing but git: a root made by debootstrap,
# entered in a mount namespace of its own, so that nothing stays mounted. Prints how long each took.
# As root; apt is set up inside as it is outside. `./dev fresh` calls it; arguments are commands that
# are run instead of those two.
set -euo pipefail
[[ ${1:-} == --inside ]] || exec unshare --mount --propagation private "$0" --inside "$@"
shift
(($#)) || set -- './dev run --fast --rounds 2' './dev test'
cd "$(dirname "$(readlink -f "$0")")/../.."

root=$(mktemp -d /var/tmp/voxbus-fresh-XXXXXX)
chmod 755 "$root"  # it becomes the /, through which every user there has to go
clean() {
  local at
  for at in dev proc sys; do umount -R -l "$root/$at" 2>/dev/null || true; done
  rm -rf --one-file-system "$root"
}
trap clean EXIT
say() { printf 'fresh: %s\n' "$*"; }

say "a Debian 12 in $root"
debootstrap --variant=minbase bookworm "$root" >/dev/null
cp /etc/resolv.conf /etc/hosts "$root/etc/"
cp -a /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
if compgen -G '/etc/apt/sources.list.d/*' >/dev/null; then
  rm -f "$root/etc/apt/sources.list"
  cp -a /etc/apt/sources.list.d/. "$root/etc/apt/sources.list.d/"
else
  cp -a /etc/apt/sources.list "$root/etc/apt/"
fi
mount --rbind /dev "$root/dev"
mount --bind /proc "$root/proc"
mount --bind /sys "$root/sys"
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CI=true chroot "$root" bash -c "$1"; }
inside 'apt-get -qq update && apt-get -qq -y --no-install-recommends install git ca-certificates' >/dev/null 2>&1
git clone --quiet . "$root/root/voxbus"

timed() {
  local begun=$SECONDS
  inside "cd /root/voxbus && $1"
  say "$1: $(((SECONDS - begun) / 60)) min $(((SECONDS - begun) % 60)) s"
}
for command; do timed "$command"; done
