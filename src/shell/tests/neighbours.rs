//! What is next to what a review found, and input that is as long as it may be.

#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use super::judged;
use super::review::none_passes;
use crate::domain::facts::Effect;
use crate::shell::{judge, paths};

#[test]
fn the_neighbours_of_what_was_found_are_closed_too() {
    none_passes(
        "neighbours",
        &[
            // variables whose values are files
            "LANGUAGE=../../tmp/x ls",
            "LANG=/tmp/x ls",
            "LC_ALL=\"$x\" ls",
            // zsh's expansions without braces, csh's and zsh's redirection, fish's
            "rm $=x",
            "ls $~x",
            "echo $^x",
            "ls >! /etc/passwd",
            "echo x ^/etc/passwd",
            // a link is a way into what it leads to
            "ln -s .. up",
            "ln -s ../../etc x",
            // a state of the machine is a unit
            "systemctl start reboot.target",
            "systemctl start systemd-poweroff",
            "systemctl start debug-shell",
            "kill -l 'a[$(reboot)]'",
            // names with versions, and programs that run others
            "bash-static x",
            "zsh-5.9 -c 'ls'",
            "perl5.36-dbg x",
            "busctl call x y z",
            "su-exec root frobnicate",
            "scriptlive x",
            "ssh-keygen -D ./x.so",
            "hyperfine frobnicate",
            "svn log --diff-cmd x",
            // what a word that is not known may be
            "ls | xargs sed -e p",
            "sed -e p \"$x\"",
            "find . | xargs sort",
            "find . | xargs git add",
            "git shortlog -n -O x --output=y",
            "git grep -n -Ovi x",
            "git grep -nOvi x",
            "git grep -L -Ovi x",
            "mktemp -p \"$x\"",
            // several readings of one option
            "xargs -e sh",
            "docker start -ai x",
            "docker run x",
            "tar xf x --to-comm=y",
            "tar xf host:x",
            "tar xPf x",
            "tar --absolute-names -xf x",
            "iptables -F",
            "ufw disable",
            "coredumpctl debug",
            "scp x \"$y\"",
            "curl -o \"$x\" http://y",
            "curl -K- http://x",
            "curl gopher://x",
            "wget -i list",
            "time -o \"$x\" ls",
            "env -S 'rm x'",
            "env --split-string='rm x'",
            "env -P /tmp ls",
            "nice --adj 5 ls",
            "timeout -k 1 --sig 9 5 ls",
            "sudo --chr /x ls",
            "busybox --install",
            "builtin jobs -x reboot",
            "command wait -p x",
            "exec -z ls",
            "nohup -- sh",
            "trap 'rm -r x' EXIT",
            "read -a 'x[1]' y",
            "unset 'a[$(reboot)]'",
            "getopts ab 'a[$(reboot)]'",
            "readarray -C reboot x",
            "test -v 'a[$(reboot)]'",
            "[ -v x* ]",
            "[ \"$x\" -eq \"$y\" ]",
            "printf -v 'a[$(reboot)]' x",
            "printf -- \"$x\" 1a",
            "sh -c -- +x ls",
            "sh -- -c ls",
            "bash --rcfile=x -c ls",
            "sh -c \"$x\"",
            "cat x | sh",
            "sh < x",
            "bash <(cat x)",
            "sed -n 'w\n;e' x",
            "sed '1{e' x",
            "sed 'y/a/b/e' x",
            "sed 's/a/b/gew x' y",
            "sed -f x y",
            "sed --file=x y",
            "find . -fprintf /etc/x '%p' -delete",
            "find -P -O3 . -delete",
            "find -files0-from x",
        ],
    );
    for (command, mark) in [
        ("ln -s /etc/cron.d x", "/etc/"),
        ("ln -s .ssh x", "~/.ssh/"),
        ("ln -s . x; echo k > x/.ssh/authorized_keys", "~/.ssh/"),
        ("scp web:x /etc/cron.d/x", "/etc/"),
        ("rsync --server -logDtpre.iLsfxCIvu . /etc/cron.d/", "/etc/"),
        ("rsync -a x/ /etc/", "/etc/"),
        ("git clone https://x/y /usr/local/lib/z", "/usr/"),
        ("cd /etc && git checkout x", "/etc/"),
        ("cd /etc && curl -sO http://x/passwd", "/etc/"),
        ("cd /etc && wget http://x/passwd", "/etc/"),
        ("cd /etc; tar xf /tmp/x", "/etc/"),
        ("echo x > .git/hooks/pre-commit", ".git/"),
        ("echo x >> .config/git/config", "~/.config/"),
        ("cp x .local/bin/ls", "~/.local/"),
        ("mktemp -p /etc/cron.d", "/etc/"),
        ("split -b 1 x /etc/cron.d/x", "/etc/"),
    ] {
        assert!(judged(command).facts.paths.contains(mark), "{command}: {:?}", judged(command).facts);
    }
}

#[test]
fn the_preset_knows_every_mark() {
    let preset = include_str!("../../../policies/dangerous-shell.cedar");
    for mark in paths::marks() {
        assert!(preset.contains(&format!("\"{mark}\"")), "{mark}");
    }
}

/// As long as a command may be, of everything that a parser reads more than once.
#[test]
fn the_longest_commands_are_judged_on_a_small_stack() {
    let pieces = [
        "a",
        ";",
        "a;",
        "a|",
        "a ",
        "$x",
        "$x ",
        "${x} ",
        "`a` ",
        "'",
        "\"",
        "\\",
        "{a,",
        "{",
        "}",
        "*",
        "a/",
        "../",
        "-a ",
        "--a ",
        "-c ",
        "x=1 ",
        "<a ",
        ">a ",
        "<<<a ",
        "2>&1 ",
        "tini ",
        "sudo ",
        "env ",
        "sh -c ",
        "xargs ",
        "sh,",
        "-e sh ",
        "cd a;",
        "cd ..;",
        "rm a;",
        "touch a;",
        "s/a/b/;",
        "[",
        "[[ ",
        "!",
        "#",
        "\n",
        "é",
        "(",
        ")",
        "((",
        "a&",
        "a&&",
        "a||",
        "if ",
        "for i in a;",
        "case a in ",
        "\t",
        "~",
        "=",
        "$",
        "$(",
        "$'",
        "a() ",
    ];
    let run = move || {
        for (head, size) in [("", 64), ("frobnicate ", 8), ("git log ", 8), ("sed '", 8), ("sh -c '", 8)] {
            for piece in pieces {
                let mut text = head.to_owned();
                text.push_str(&piece.repeat((size * 1024 - head.len()) / piece.len()));
                drop(judge(text.as_bytes(), false));
            }
        }
    };
    let small = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    small.spawn(run).expect("a thread").join().expect("no overflow");
}

/// Found by fuzzing: the tokenizer never came back.
#[test]
fn a_document_inside_an_expansion_is_refused_at_once() {
    let nested = format!("{}<< $( )) /{}", "$(".repeat(21), ")".repeat(21));
    for text in ["$( x ' cd ' $( ~printfcase; [[<< ))-eq cd", "$( [[<< ))", &nested] {
        assert!(judge(text.as_bytes(), false).facts.effects.contains(&Effect::Unjudged), "{text}");
    }
}
