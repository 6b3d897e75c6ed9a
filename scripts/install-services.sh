#!/usr/bin/env bash
# Installs on Debian 12 the real services that the tests use: Mosquitto, InfluxDB 1.6, Chromium with fonts for Chinese,
# mbpoll, shellcheck, Glewlwyd (an identity provider), and VictoriaMetrics, which Debian has from version 13 on and
# which is unpacked into .services.
#
# Run it as root or as a user who may use sudo; what is there already is left alone. Nothing is started, now or at boot.
# All packages come from the machine's own apt sources, whatever mirror those name.
set -euo pipefail
cd "$(dirname "$0")/.."

PACKAGES=(mosquitto influxdb chromium fonts-noto-cjk mbpoll shellcheck glewlwyd dbconfig-no-thanks)
SERVICES=(mosquitto influxdb glewlwyd)
LATER_SUITE=trixie
POLICY=/usr/sbin/policy-rc.d
ROOT_COMMAND=()
CLEAN_UP=()

fail() {
    echo "install-services: $*" >&2
    exit 1
}

step() {
    echo "install-services: $*"
}

clean_up() {
    local command
    for command in "${CLEAN_UP[@]}"; do
        eval "$command"
    done
}
trap clean_up EXIT

# shellcheck source=/dev/null
os_value() {
    (. /etc/os-release && eval "echo \"\${$1:-}\"")
}

require_debian() {
    [[ -r /etc/os-release ]] || fail "this is not a Debian system: /etc/os-release is missing"
    command -v apt-get >/dev/null || fail "this is not a Debian system: apt-get is missing"
    case "$(os_value ID):$(os_value VERSION_CODENAME)" in
        debian:bookworm | debian:trixie) ;;
        *) fail "made for Debian 12 and 13; on $(os_value PRETTY_NAME) install ${PACKAGES[*]} and victoria-metrics yourself" ;;
    esac
}

become_root() {
    if [[ "$(id -u)" != 0 ]]; then
        command -v sudo >/dev/null || fail "run it as root, or install sudo"
        ROOT_COMMAND=(sudo)
    fi
}

is_installed() {
    [[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

# Packages of servers start them when they are installed, unless this file forbids it.
forbid_starting() {
    if [[ ! -e $POLICY ]]; then
        printf '#!/bin/sh\nexit 101\n' | "${ROOT_COMMAND[@]}" tee "$POLICY" >/dev/null
        "${ROOT_COMMAND[@]}" chmod 755 "$POLICY"
        CLEAN_UP+=("${ROOT_COMMAND[*]} rm -f $POLICY")
    fi
}

stay_off_at_boot() {
    if [[ -d /run/systemd/system ]]; then
        "${ROOT_COMMAND[@]}" systemctl --quiet disable "$1" || fail "cannot switch off the service $1"
    fi
}

# Glewlwyd's own set-up asks for a database and fails when nobody answers. The tests bring their own configuration, so
# none is made: the answer is given beforehand, and an empty file stands where the package would unpack an example.
configure_nothing_for_glewlwyd() {
    printf 'glewlwyd glewlwyd/config_type select No configuration\n' | "${ROOT_COMMAND[@]}" debconf-set-selections
    if [[ ! -e /etc/glewlwyd/glewlwyd.conf ]]; then
        "${ROOT_COMMAND[@]}" install -D -m 640 /dev/null /etc/glewlwyd/glewlwyd.conf
    fi
}

install_packages() {
    local package missing=()
    for package in "${PACKAGES[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    if [[ ${#missing[@]} == 0 ]]; then
        step "installed already: ${PACKAGES[*]}"
        return
    fi
    step "installing ${missing[*]}"
    become_root
    forbid_starting
    "${ROOT_COMMAND[@]}" apt-get update -qq
    case " ${missing[*]} " in
        *" glewlwyd "*) configure_nothing_for_glewlwyd ;;
    esac
    "${ROOT_COMMAND[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq --yes --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >/dev/null
    for package in "${SERVICES[@]}"; do
        case " ${missing[*]} " in
            *" $package "*) stay_off_at_boot "$package" ;;
        esac
    done
}

# Writes into folder $1 the machine's apt sources of its own release, with the suite of the later release instead.
write_later_sources() {
    local suites file
    suites="$(os_value VERSION_CODENAME)|stable|oldstable|$LATER_SUITE"
    for file in /etc/apt/sources.list.d/*.sources; do
        [[ -r $file ]] || continue
        # Paragraphs of fields; those of other suites (security, updates, other vendors) are left out.
        awk -v suites="^($suites)\$" -v later="$LATER_SUITE" '
            BEGIN { RS = ""; FS = "\n" }
            {
                keep = 0; text = ""
                for (i = 1; i <= NF; i++) {
                    line = $i
                    if (line ~ /^#/) continue
                    if (tolower(line) ~ /^suites:/) {
                        n = split(line, word, /[ \t]+/)
                        for (j = 2; j <= n; j++) if (word[j] ~ suites) keep = 1
                        line = "Suites: " later
                    }
                    if (tolower(line) ~ /^enabled:[ \t]*no/) { keep = 0; break }
                    text = text line "\n"
                }
                if (keep) print text
            }' "$file" >"$1/$(basename "$file")"
    done
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [[ -r $file ]] || continue
        sed -nE "s/^(deb +(\[[^]]*\] +)?[^ ]+ +)($suites)( .*)$/\1$LATER_SUITE\4/p" "$file" >"$1/$(basename "$file")"
    done
    [[ -n "$(cat "$1"/* 2>/dev/null)" ]] || fail "no apt source of this release found under /etc/apt"
}

# Runs apt-get for the later release with lists and caches of its own, so that the machine's apt does not change.
later_apt() {
    local options=(
        -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$WORK/sources"
        -o Dir::Etc::preferences=/dev/null -o "Dir::Etc::preferencesparts=$WORK/none"
        -o "Dir::State::lists=$WORK/lists" -o "Dir::Cache=$WORK/cache"
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false
        -o APT::Sandbox::User= -o APT::Get::List-Cleanup=false
    )
    apt-get "${options[@]}" -qq "$@"
}

install_victoria_metrics() {
    local target=.services
    if [[ -x $target/bin/victoria-metrics ]] || command -v victoria-metrics >/dev/null; then
        step "installed already: victoria-metrics"
        return
    fi
    step "unpacking victoria-metrics from Debian $LATER_SUITE into $target"
    mkdir -p "$target"
    WORK="$(mktemp -d "$PWD/$target/apt.XXXXXX")"
    CLEAN_UP+=("rm -rf '$WORK'")
    mkdir -p "$WORK"/{sources,none,lists/partial,cache/archives/partial,unpacked}
    write_later_sources "$WORK/sources"
    later_apt update || fail "apt-get update for $LATER_SUITE failed; does the mirror of this machine carry $LATER_SUITE?"
    (cd "$WORK" && later_apt download victoria-metrics) || fail "cannot download victoria-metrics from $LATER_SUITE"
    dpkg-deb -x "$WORK"/victoria-metrics_*.deb "$WORK/unpacked"
    mkdir -p "$target/bin"
    "$WORK/unpacked/usr/bin/victoria-metrics" -version >/dev/null 2>&1 || fail "victoria-metrics does not run on this machine"
    mv "$WORK/unpacked/usr/bin/victoria-metrics" "$target/bin/victoria-metrics"
}

give_back() {
    if [[ -n ${SUDO_UID:-} && -d .services ]]; then
        chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" .services
    fi
}

require_debian
install_packages
install_victoria_metrics
give_back
step "done"
