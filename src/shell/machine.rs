//! Programs that rule processes, services, users and the machine.

use super::call::Call;
use super::judge::Judge;
use super::options::Spec;
use super::word::Word;
use crate::domain::facts::Effect;

impl Judge {
    /// Judges what happens to the machine; `false` when the program rules nothing.
    pub(super) fn machine(&mut self, call: Call<'_>) -> bool {
        let first = call.words.first().and_then(Word::as_known);
        match call.name {
            "kill" if matches!(first, Some("-l" | "-L" | "-0" | "--list")) => {}
            "kill" | "pkill" | "killall" | "killall5" | "skill" | "snice" | "xkill" | "tkill"
            | "shutdown" | "reboot" | "halt" | "poweroff" | "init" | "telinit" | "suspend" | "pm-suspend"
            | "kexec" | "initctl" | "stop" | "sysrq" => {
                self.effect(Effect::Stop);
            }
            "fuser" => {
                let given = Spec { short: "nN", long: &["namespace"], leading: false }.read(call.words);
                if given.short("k") || given.long(&["kill"]) || given.hidden {
                    self.effect(Effect::Stop);
                }
                self.read_all(&given.operands);
            }
            "systemctl" => self.systemctl(call),
            "service" | "rc-service" | "invoke-rc.d" | "sv" | "rcctl" => {
                self.changes();
                let verbs = [
                    "stop",
                    "restart",
                    "reload",
                    "force-reload",
                    "force-stop",
                    "down",
                    "exit",
                    "kill",
                    "term",
                    "once",
                ];
                let known = |word: &Word| word.as_known().is_some_and(|verb| verbs.contains(&verb));
                if call.words.iter().any(known) {
                    self.effect(Effect::Stop);
                }
                if call.words.iter().any(|word| word.as_known().is_none()) {
                    self.unjudged();
                }
            }
            "useradd"
            | "usermod"
            | "userdel"
            | "adduser"
            | "deluser"
            | "groupadd"
            | "groupmod"
            | "groupdel"
            | "addgroup"
            | "delgroup"
            | "passwd"
            | "chpasswd"
            | "chage"
            | "chsh"
            | "chfn"
            | "gpasswd"
            | "newgrp"
            | "newusers"
            | "setenforce"
            | "mount"
            | "umount"
            | "insmod"
            | "modprobe"
            | "rmmod"
            | "pam-auth-update"
            | "update-alternatives"
            | "ssh-copy-id"
            | "visudo-check"
            | "setsebool"
            | "semanage"
            | "aa-disable"
            | "aa-complain"
            | "loginctl"
            | "authconfig" => {
                if call.name == "mount" && call.words.is_empty() {
                    return true;
                }
                self.effect(Effect::Privilege);
                call.words.iter().for_each(|word| self.path_like(word));
                let given = Spec::PLAIN.read(call.words);
                let removes = call.name == "userdel" && given.short("r")
                    || matches!(call.name, "userdel" | "deluser")
                        && given.long(&["remove", "remove-home", "remove-all-files"]);
                if removes {
                    self.effects(&[Effect::Delete, Effect::DeleteTree]);
                }
                // takes a program to run
                if matches!(call.name, "modprobe" | "update-alternatives" | "newgrp" | "insmod") {
                    self.unjudged();
                }
            }
            "iptables" | "ip6tables" | "iptables-restore" | "ufw" | "firewall-cmd" | "ifup" | "ifdown"
            | "nmcli" | "tc" | "route" | "brctl" | "ethtool" | "wg" | "wg-quick" => {
                let shows = call.words.iter().all(|word| {
                    word.as_known().is_some_and(|text| {
                        matches!(
                            text,
                            "-L" | "-n" | "-v" | "-S" | "status" | "show" | "verbose" | "-nvL" | "-nL"
                        )
                    })
                });
                self.changes();
                if !shows {
                    self.effect(Effect::Network);
                }
            }
            _ => return false,
        }
        true
    }

    fn systemctl(&mut self, call: Call<'_>) {
        let spec = Spec {
            short: "tpPHMns o",
            long: &[
                "type",
                "state",
                "property",
                "host",
                "machine",
                "lines",
                "output",
                "signal",
                "job-mode",
                "root",
                "kill-whom",
                "what",
            ],
            leading: false,
        };
        let given = spec.read(call.words);
        if given.short("H") || given.long(&["host"]) {
            self.effects(&[Effect::Network, Effect::Unjudged]);
        }
        if given.hidden {
            self.unjudged();
        }
        match given.verb() {
            None if given.operands.is_empty() => self.pager(call.context),
            Some(
                "status" | "show" | "is-active" | "is-enabled" | "is-failed" | "is-system-running"
                | "list-units" | "list-unit-files" | "list-timers" | "list-sockets" | "list-jobs"
                | "list-dependencies" | "list-machines" | "cat" | "get-default" | "show-environment" | "help",
            ) => {
                if !given.long(&["no-pager"]) {
                    self.pager(call.context);
                }
            }
            Some(
                "stop"
                | "restart"
                | "try-restart"
                | "reload"
                | "reload-or-restart"
                | "try-reload-or-restart"
                | "kill"
                | "freeze"
                | "reboot"
                | "poweroff"
                | "halt"
                | "kexec"
                | "suspend"
                | "hibernate"
                | "hybrid-sleep"
                | "suspend-then-hibernate"
                | "isolate"
                | "rescue"
                | "emergency"
                | "exit"
                | "switch-root"
                | "soft-reboot"
                | "default"
                | "mask"
                | "disable",
            ) => self.effect(Effect::Stop),
            Some(
                "start" | "enable" | "unmask" | "daemon-reload" | "daemon-reexec" | "reset-failed"
                | "reenable" | "preset",
            ) => self.changes(),
            Some("clean") => self.effects(&[Effect::Delete, Effect::DeleteTree]),
            _ => self.unjudged(),
        }
    }
}
