#!/bin/sh
# Installs what the end-to-end tests run against: a browser, keychains, kubectl, git, shells, Wine and the provider's packages.
# Needs Debian with go, node and npm. Running it again changes nothing and takes no time.
set -eu
cd "$(dirname "$0")"

sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo

# dbus-x11 is left out on purpose: its dbus-launch leaves daemons behind wherever a program asks for a bus that is not there.
missing=
command -v chromium >/dev/null || missing="$missing chromium"
command -v dbus-daemon >/dev/null || missing="$missing dbus"
command -v gnome-keyring-daemon >/dev/null || missing="$missing gnome-keyring"
command -v keepassxc-cli >/dev/null || missing="$missing keepassxc"
command -v kubectl >/dev/null || missing="$missing kubernetes-client"
command -v git >/dev/null || missing="$missing git"
# What the tests of the command use where it is there: shells that complete, and readers of manual pages.
command -v zsh >/dev/null || missing="$missing zsh"
command -v fish >/dev/null || missing="$missing fish"
[ -e /usr/share/bash-completion/bash_completion ] || missing="$missing bash-completion"
command -v mandoc >/dev/null || missing="$missing mandoc"
if [ "$(dpkg --print-architecture)" = amd64 ]; then # Windows' Credential Manager, as far as Wine has it
	[ -x /usr/lib/wine/wine64 ] || missing="$missing wine64"
	command -v x86_64-w64-mingw32-ld >/dev/null || missing="$missing binutils-mingw-w64-x86-64"
fi
if [ -n "$missing" ]; then
	$sudo apt-get update -q
	# shellcheck disable=SC2086 # one word per package
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
fi

cd provider
installed=node_modules/.installed-lock.json
if ! cmp -s package-lock.json "$installed"; then
	npm ci --ignore-scripts --no-audit --no-fund
	cp package-lock.json "$installed"
fi
