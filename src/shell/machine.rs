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
            "kill"
                if matches!(first, Some("-l" | "-L" | "-0" | "--list"))
                    && call.words.iter().skip(1).all(Word::is_number) => {}
            "kill" | "pkill" | "killall" | "killall5" | "skill" | "snice" | "xkill" | "tkill"
            | "shutdown" | "reboot" | "halt" | "poweroff" | "init" | "telinit" | "suspend" | "pm-suspend"
            | "kexec" | "initctl" | "stop" | "sysrq" => {
                self.effect(Effect::Stop);
            }
            "fuser" => {
                let given =
                    self.given(&Spec::new("acfikluvmMsVw46", "n", "kill all mount namespace="), call.words);
                if given.short("k") || given.long(&["kill"]) || given.hidden {
                    self.effect(Effect::Stop);
                }
                self.read_all(&given.operands);
            }
            "systemctl" => self.systemctl(call),
            "service" | "rc-service" | "invoke-rc.d" | "sv" | "rcctl" => {
                self.service(call);
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
                let given = Spec::new("", "", "").read(call.words);
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
            "iptables-restore" | "ip6tables-restore" => self.effects(&[Effect::Network, Effect::Unjudged]),
            "iptables" | "ip6tables" | "ufw" | "firewall-cmd" | "ifup" | "ifdown" | "nmcli" | "tc"
            | "route" | "brctl" | "ethtool" | "wg" | "wg-quick" => {
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
                    self.effects(&[Effect::Network, Effect::Privilege]);
                }
            }
            _ => return false,
        }
        true
    }

    fn systemctl(&mut self, call: Call<'_>) {
        let spec = Spec::new(
            "alqfr",
            "tpPnso",
            "all full no-pager no-legend no-block no-ask-password no-wall plain quiet now force failed recursive \
             reverse after before value system wait type= state= property= lines= output= signal= job-mode= \
             kill-whom= what=",
        );
        let given = self.given_openly(&spec, call.words);
        if call.words.iter().any(is_elsewhere) {
            self.effect(Effect::Network);
        }
        // a unit by its path is installed from there
        let plain = |word: &Word| word.as_known().is_some_and(|text| !text.contains('/'));
        if !given.operands.iter().all(plain) {
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
            ) => {
                self.changes();
                // a state of the machine, and a shell of its own
                let state = |word: &Word| {
                    word.as_known().is_some_and(|unit| {
                        let part = [
                            "reboot",
                            "poweroff",
                            "halt",
                            "kexec",
                            "shutdown",
                            "suspend",
                            "hibernate",
                            "sleep",
                        ];
                        unit.ends_with(".target")
                            || part.iter().any(|part| unit.contains(part))
                            || unit.contains("shell")
                    })
                };
                if given.operands.iter().skip(1).any(state) {
                    self.effect(Effect::Stop);
                }
            }
            Some("clean") => self.effects(&[Effect::Delete, Effect::DeleteTree]),
            _ => self.unjudged(),
        }
    }

    /// `service NAME VERB`, `sv VERB NAME`: a name is no path, of which some run whatever is there.
    fn service(&mut self, call: Call<'_>) {
        self.changes();
        let plain = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-@.".contains(c))
        };
        let words: Option<Vec<&str>> = call.words.iter().map(Word::as_known).collect();
        let (name, verb) = match (call.name, words.as_deref()) {
            ("service", Some(["--status-all"])) => return,
            ("sv" | "rcctl", Some([verb, name])) | (_, Some([name, verb])) => (*name, *verb),
            _ => return self.unjudged(),
        };
        if !plain(name) {
            self.unjudged();
        }
        match verb {
            "status" | "start" | "up" | "check" => {}
            "stop" | "restart" | "reload" | "force-reload" | "force-stop" | "force-restart" | "down"
            | "exit" | "kill" | "term" | "once" | "try-restart" | "condrestart" => self.effect(Effect::Stop),
            _ => self.unjudged(),
        }
    }
}

/// Whether a word of `systemctl` is about another machine.
fn is_elsewhere(word: &Word) -> bool {
    word.as_known().is_some_and(|text| text.starts_with("-H") || text.starts_with("--ho"))
}
