//! Programs that run another language: interpreters, `awk`, `sed`, editors, database clients.

use super::call::{Call, Stdin};
use super::judge::Judge;
use super::options::Spec;
use super::sed;
use super::word::Word;
use crate::domain::facts::Effect;

impl Judge {
    /// Judges code in other languages; `false` when the program runs none.
    pub(super) fn code(&mut self, call: Call<'_>) -> bool {
        let stem = super::call::stem(call.name);
        match call.name {
            "awk" | "gawk" | "mawk" | "nawk" | "original-awk" => self.awk(call),
            "sed" | "gsed" => self.sed(call),
            "vi" | "vim" | "nvim" | "view" | "vimdiff" | "gvim" | "rvim" | "rview" | "ex" | "ed" | "red"
            | "emacs" | "nano" | "pico" | "joe" | "jed" | "mcedit" | "micro" | "hx" | "kak" | "ne"
            | "vigr" | "vipw" | "visudo" | "sudoedit" | "rnano" | "sensible-editor" | "editor" => {
                self.editor(call);
            }
            "less" | "more" | "most" | "pg" | "lesspipe" => self.pages(call),
            "man" | "info" | "pinfo" => {
                let plain =
                    call.words.iter().all(|word| word.as_known().is_some_and(|text| !text.starts_with('-')));
                if !plain {
                    self.unjudged();
                }
                self.pager(call.context);
            }
            "mc" | "ranger" | "nnn" | "screen" | "tmux" | "byobu" | "zellij" | "dtach" | "abduco"
            | "minicom" | "gdb" | "lldb" | "strace" | "ltrace" | "perf" | "bpftrace" | "stap"
            | "valgrind" => {
                self.effects(&[Effect::Interactive, Effect::Unjudged]);
            }
            "top" => {
                let given = self.given_openly(&Spec::new("bcHiSs1w", "ndpuUoEe", ""), call.words);
                if !given.short("b") {
                    self.effect(Effect::Interactive);
                }
            }
            "htop" | "atop" | "btop" | "iotop" => self.effect(Effect::Interactive),
            "psql" | "mysql" | "mariadb" | "sqlite" | "sqlite3" | "mongo" | "mongosh" | "redis-cli"
            | "sqlplus" | "isql" | "clickhouse-client" | "cqlsh" | "duckdb" | "usql" => {
                self.effects(&[Effect::Code, Effect::Unjudged]);
                if call.words.is_empty() {
                    self.effect(Effect::Interactive);
                }
            }
            "make" | "gmake" | "ninja" | "cmake" | "rake" | "ant" | "mvn" | "gradle" | "npm" | "yarn"
            | "pnpm" | "cargo" | "go" | "bundle" | "pip" | "pip3" | "ansible-playbook" | "puppet"
            | "salt-call" | "terraform" => {
                self.build(call);
            }
            "crontab" if matches!(call.words, [word] if word.as_known() == Some("-l")) => {}
            name if UNREADABLE.contains(&name)
                || RUNNERS.split_ascii_whitespace().any(|runner| runner == name) =>
            {
                self.effects(&[Effect::Code, Effect::Unjudged]);
            }
            name if is_interpreter(name) || is_interpreter(stem) => self.interpreter(call),
            _ => return false,
        }
        true
    }

    fn interpreter(&mut self, call: Call<'_>) {
        let known = |word: &Word| word.as_known().map(str::to_owned);
        let first = call.words.first();
        let only_version = call.words.len() == 1
            && first
                .and_then(known)
                .is_some_and(|text| ["--version", "-V", "-v", "--help", "-h"].contains(&text.as_str()));
        if only_version {
            return;
        }
        self.effect(Effect::Code);
        let Some(first) = first else {
            self.unjudged();
            if matches!(call.context.stdin, Stdin::Caller) {
                self.effect(Effect::Interactive);
            }
            return;
        };
        // any option may hold code, and any word that is not known may be one
        match first {
            Word::Known(text) if text.starts_with('-') => self.unjudged(),
            Word::Known(text) if text.starts_with("/dev/") || text.starts_with("/proc/") => self.unjudged(),
            Word::Unknown { .. } => self.unjudged(),
            file => {
                self.reads(file);
                call.words.iter().skip(1).for_each(|word| self.path_like(word));
            }
        }
    }

    /// A build or a playbook: its own files say what it does.
    fn build(&mut self, call: Call<'_>) {
        self.effect(Effect::Code);
        for word in call.words {
            self.path_like(word);
            let strange = match word {
                Word::Known(text) => {
                    text.contains('=') && !text.starts_with('-')
                        || ["exec", "x", "dlx", "run", "install"].contains(&text.as_str())
                        || text.starts_with('-') && !["-j", "-s", "-k", "-B", "-q"].contains(&text.as_str())
                }
                Word::Pattern(_) => false,
                Word::Unknown { .. } => true,
            };
            if strange {
                self.unjudged();
            }
        }
    }

    fn editor(&mut self, call: Call<'_>) {
        self.effect(Effect::Interactive);
        self.changes();
        let plain = |word: &Word| match word {
            Word::Known(text) => !text.starts_with(['-', '+']),
            word => !word.may_hide_options(),
        };
        if !call.words.iter().all(plain) || !matches!(call.context.stdin, Stdin::Caller) {
            self.effects(&[Effect::Code, Effect::Unjudged]);
        }
        if matches!(call.name, "visudo" | "vipw" | "vigr" | "sudoedit") {
            self.effect(Effect::Privilege);
        }
        self.read_all(call.words);
    }

    fn pages(&mut self, call: Call<'_>) {
        let plain = |word: &Word| match word {
            Word::Known(text) => {
                !text.starts_with('+')
                    && (!text.starts_with('-') || text.chars().skip(1).all(|c| "RSNFXeEiIMnrsq".contains(c)))
            }
            word => !word.may_hide_options(),
        };
        if !call.words.iter().all(plain) {
            self.unjudged();
        }
        self.pager(call.context);
        let files: Vec<Word> = call
            .words
            .iter()
            .filter(|word| word.as_known().is_none_or(|text| !text.starts_with('-')))
            .cloned()
            .collect();
        self.read_all(&files);
    }

    fn awk(&mut self, call: Call<'_>) {
        let spec = Spec::new("nNSbPcrt", "Fv", "posix sandbox csv field-separator= assign= re-interval");
        let given = self.given(&spec.leading(), call.words);
        if given.strange {
            self.effect(Effect::Code);
            return;
        }
        match given.operands.split_first() {
            Some((Word::Known(program), files)) => {
                self.awk_program(program);
                self.read_all(files);
            }
            _ => self.effects(&[Effect::Code, Effect::Unjudged]),
        }
    }

    fn awk_program(&mut self, program: &str) {
        // two bars are an alternative, one is a pipe into a shell
        let text = program.replace("||", "");
        if ["system", "getline", "|", "@", "fflush", "close", "extension"]
            .iter()
            .any(|word| text.contains(word))
        {
            self.effects(&[Effect::Code, Effect::Unjudged]);
        }
        if text.contains("print") && text.replace(">=", "").contains('>') {
            // a comparison or a file; which file is not read
            self.effects(&[Effect::Code, Effect::Write]);
        }
        if text.contains("/inet") {
            self.effect(Effect::Network);
        }
    }

    fn sed(&mut self, call: Call<'_>) {
        let spec = Spec::new(
            "nrEsuzb",
            "el",
            "quiet silent regexp-extended separate unbuffered null-data zero-terminated posix sandbox debug \
             expression= line-length= in-place?",
        );
        // `-i` takes the rest of its word for a suffix
        let given = self.given_openly(&spec.attached("i"), call.words);
        let mut scripts = given.values("e", "expression");
        let mut files = given.operands.as_slice();
        if scripts.is_empty()
            && let Some((script, rest)) = files.split_first()
        {
            scripts.push(script.clone());
            files = rest;
        }
        for script in scripts {
            match script.as_known().map(sed::read) {
                Some(Some(files)) => {
                    files.written.into_iter().for_each(|file| self.writes(&Word::known(file)));
                    files.read.into_iter().for_each(|file| self.reads(&Word::known(file)));
                }
                _ => self.effects(&[Effect::Code, Effect::Unjudged]),
            }
        }
        let in_place = given.short("i") || given.long(&["in-place"]);
        if in_place { self.write_all(files) } else { self.read_all(files) }
    }
}

/// Whether it is the name of an interpreter, without its version.
pub(super) fn is_interpreter(name: &str) -> bool {
    INTERPRETERS.contains(&name)
}

/// Without the digits of their versions.
const INTERPRETERS: &[&str] = &[
    "bun",
    "clojure",
    "crystal",
    "dart",
    "deno",
    "elixir",
    "erl",
    "escript",
    "expect",
    "gforth",
    "ghc",
    "ghci",
    "gjs",
    "gnuplot",
    "gosh",
    "groovy",
    "guile",
    "iex",
    "ipython",
    "irb",
    "java",
    "jjs",
    "jruby",
    "jshell",
    "julia",
    "kotlin",
    "lua",
    "luajit",
    "macruby",
    "maxima",
    "node",
    "nodejs",
    "ocaml",
    "octave",
    "osascript",
    "perl",
    "php",
    "phpdbg",
    "pry",
    "pypy",
    "python",
    "pythonw",
    "qjs",
    "R",
    "r",
    "racket",
    "raku",
    "rscript",
    "Rscript",
    "ruby",
    "runghc",
    "runhaskell",
    "sbcl",
    "scala",
    "scheme",
    "swipl",
    "tclsh",
    "ts-node",
    "wish",
    "wine",
];

/// Programs that run what their arguments or their input say, in ways that are not read here.
const UNREADABLE: &[&str] = &[
    "ansible",
    "aria2c",
    "bconsole",
    "bpftool",
    "bwrap",
    "c89",
    "c99",
    "capsh",
    "catchsegv",
    "cc",
    "certbot",
    "chpst",
    "clang",
    "cpan",
    "cppcheck",
    "crontab",
    "csplit",
    "ctr",
    "daemonize",
    "dbus-send",
    "dbus-run-session",
    "dialog",
    "distcc",
    "dc",
    "bc",
    "dmsetup",
    "dosbox",
    "dotnet",
    "dpkg-reconfigure",
    "dvips",
    "easy_install",
    "entr",
    "exiftool",
    "facter",
    "faketime",
    "firejail",
    "fzf",
    "g++",
    "gcc",
    "gcore",
    "gem",
    "genie",
    "ginsh",
    "gpg-agent",
    "gtester",
    "hping3",
    "incron",
    "inotifywait",
    "ispell",
    "jtag",
    "knife",
    "ksshell",
    "latex",
    "ld",
    "ld.so",
    "ld-linux-x86-64.so.2",
    "ld-linux.so.2",
    "ld-linux-aarch64.so.1",
    "ld-musl-x86_64.so.1",
    "logsave",
    "ltrace",
    "m4",
    "mail",
    "mailx",
    "msfconsole",
    "multitime",
    "mutt",
    "ncdu",
    "nsenter",
    "npx",
    "pdflatex",
    "pdftex",
    "pexec",
    "pidstat",
    "pipx",
    "poetry",
    "posh",
    "proot",
    "proxychains",
    "proxychains4",
    "run-mailcap",
    "run-parts",
    "runcon",
    "runit",
    "runsv",
    "rlwrap",
    "rpmbuild",
    "rpmdb",
    "rpmverify",
    "rrdtool",
    "scanmem",
    "schroot",
    "service-wrapper",
    "setarch",
    "setpriv",
    "sg",
    "slsh",
    "softlimit",
    "split-command",
    "sshpass",
    "ssh-agent",
    "sshfs",
    "start-stop-daemon",
    "systemd-run",
    "systemd-nspawn",
    "tasksh",
    "tbl",
    "tcpdump",
    "tdbtool",
    "tex",
    "tmate",
    "torify",
    "torsocks",
    "troff",
    "groff",
    "tsp",
    "ts",
    "unshare",
    "uv",
    "uvx",
    "virsh",
    "volatility",
    "w3m",
    "lynx",
    "links",
    "elinks",
    "with-contenv",
    "wireshark",
    "tshark",
    "xdg-open",
    "xdotool",
    "xelatex",
    "lualatex",
    "luatex",
    "xvfb-run",
    "yash",
    "zathura",
    "zsoelim",
    "zip-wrapper",
    "qemu",
    "qemu-system-x86_64",
    "socat",
    "nc",
    "ncat",
    "netcat",
    "nmap",
    "openvpn",
    "expect-lite",
    "sftp",
    "ftp",
    "lftp",
    "telnet",
    "rsh",
    "rlogin",
    "rexec",
    "mosh",
    "dropbear",
    "dbclient",
    "pssh",
    "clush",
    "pdsh",
    "dsh",
    "cssh",
    "salt",
    "pkill-wrapper",
    "chronic",
    "ifne",
    "pee",
    "vipe",
    "vidir",
    "parallel-ssh",
    "sponge-run",
    "ul",
    "lp",
    "cobc",
    "debugfs",
    "dstat",
    "nft",
    "systemd-tmpfiles",
    "logrotate",
    "at.allow",
    "atd",
    "anacron",
    "cron",
    "supervisorctl",
    "monit",
    "mksquashfs",
    "restic",
    "borg",
    "duplicity",
];

/// Programs that start others, or whatever a file or another machine tells them, as some option or argument says.
const RUNNERS: &str = "aa-exec ack ag ansible-console ansible-pull apptainer asdf autoexpect autossh bat batcat bazel \
    bootctl bpython buildah busctl catatonit cgexec choom combine conda convert coredumpctl coresched \
    crictl cset daemon delta dialog direnv distrobox django-admin dumb-init enroot envdir envuidgid \
    execlineb fab flatpak-spawn gdbus gh glab gm gnome-terminal gosu gpg gpg2 gpgsm grub-mkconfig gs \
    guix hg homectl hyperfine invoke isutf8 just k3s k9s konsole lazygit lckdo litecli login lxc \
    lxc-attach lxc-execute machinectl magick meson mise mispipe mitmproxy mycli networkctl nix nix-shell \
    nodemon nq nsjail openrc openvt packer pandoc peco pgcli pipexec pivot_root plink portablectl \
    pre-commit pulumi pyenv pytest qdbus rbenv rdiff-backup reptyr resolvconf resolvectl rpmkeys \
    rpmquery rpmsign rpmspec rr rsnapshot run-one run0 rxvt s6-setuidgid s6-svc scons scriptlive \
    setuidgid singularity skaffold skopeo ssh-add ssh-keygen sshuttle su-exec sudo-rs sudoreplay svn \
    switch_root systemd-analyze systemd-inhibit task terragrunt tig tini tofu toolbox tox tsocks udevadm \
    uftrace unison urxvt usbip userdbctl uwsgi vagrant volta watchexec whiptail xsltproc xterm zdb zrun \
    zutils";
