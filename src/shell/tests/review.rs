//! What a review found to pass for harmless, family by family, and its neighbours. Each is now judged harmful, or
//! not judged.

use super::{has, judged};
use crate::domain::facts::Effect;
use crate::shell::judge;

/// Neither denied nor held by the preset.
pub(super) fn passes(command: &str, terminal: bool) -> bool {
    let judged = judge(command.as_bytes(), terminal);
    let held = [
        Effect::Code,
        Effect::DeleteTree,
        Effect::Disk,
        Effect::Interactive,
        Effect::Privilege,
        Effect::Stop,
        Effect::Unjudged,
    ];
    !held.iter().any(|effect| has(&judged, *effect))
}

pub(super) fn none_passes(family: &str, commands: &[&str]) {
    let passed: Vec<&&str> = commands.iter().filter(|command| passes(command, false)).collect();
    assert!(passed.is_empty(), "{family}: {} of {} pass: {passed:#?}", passed.len(), commands.len());
}

#[test]
fn text_that_feeds_a_shell_is_never_cleared() {
    none_passes(
        "here-strings",
        &[
            "sh 3<<<true",
            "{ read -n 5 x; sh; } <<< 'echo rm -rf /'",
            "sh -c 'head -c 5 >/dev/null; sh' <<< 'echo rm -rf /'",
            "bash <<< $'head -c 5 >/dev/null\\nxxxxrm -rf /'",
            "sh <<<true <>/tmp/f",
            "sh <<<true 0>&2",
            "bash <<'E'\nread x\necho rm -rf /\nE",
            "while read -r x; do sh; done <<< 'rm -rf /'",
            "(cat >/dev/null; bash) <<< true",
            "sh -s a b <<< true",
            "sh <<<true 0<f",
            "sudo sh <<< true",
        ],
    );
}

#[test]
fn a_shell_s_own_options_are_known() {
    none_passes(
        "options of shells",
        &[
            "sh -c +ex 'rm -rf /'",
            "bash -c +o posix 'rm -rf /'",
            "sh +x -c ls",
            "bash -c -x 'rm -rf /'",
            "bash -O extglob -c ls",
            "sh -ic ls",
            "bash --posix --rc x -c ls",
            "bash -Dc ls",
            "sh -c 'ls' +x; bash -o vi -c ls",
        ],
    );
}

#[test]
fn sed_is_read_as_sed_reads_it() {
    none_passes(
        "sed",
        &[
            "sed ':a;e'",
            "sed ':a;e reboot' f",
            "sed 'b a;e reboot' f",
            "sed 'ta;s/x/y/e' f",
            "sed -i.l '1e reboot' p",
            "sed -i.f '1e reboot' p",
            "sed -ni.e '1e reboot' p",
            "sed -E -i.bak -e p -e '1e reboot' f",
            "sed --expr='1e reboot' f",
            "sed -s --in-pl=.x '1e reboot' f",
            "sed 's/[]/]/x/;e' f",
            "sed -n '/[[:alpha:]/]/e' f",
        ],
    );
    for (command, path) in
        [("sed 'r /etc/shadow' f", "/etc/shadow"), ("sed 'R /etc/x' f", "/etc/x"), ("sed 'w /a/b' f", "/a/b")]
    {
        assert!(judged(command).facts.paths.contains(path), "{command}: {:?}", judged(command).facts);
    }
    assert!(judged("sed -i.bak 's/a/b/' conf").facts.effects.contains(&Effect::Write));
    assert!(!passes("sed 'w\u{2028}x' $y", false) || judged("sed p f").facts.read_only);
}

#[test]
fn builtins_evaluate_nothing() {
    none_passes(
        "builtins",
        &[
            "jobs -x rm -rf /",
            "wait -n -p 'a[$(reboot)]'",
            "wait 'a[$(reboot)]'",
            "read RANDOM <<< 'a[$(reboot)]'",
            "for RANDOM in 'a[$(reboot)]'; do :; done",
            "for SECONDS in 'a[1]'; do :; done",
            "printf -v RANDOM 'a[$(reboot)]'",
            "read OPTIND < x",
            "read -r LINENO < x",
            "EPOCHSECONDS='a[1$x]' true",
            "[ 'a[$(reboot)]' -eq 1 ]",
            "[ 1 -lt 'a[$(reboot)]' ]",
            "[ -t 'a[$(reboot)]' ]",
            "[ \"$x\" -gt 1 ]",
            "printf %d 'a[$(reboot)]'",
            "printf '%5d\\n' \"$x\"",
            "printf '%*s' 'a[$(reboot)]' x",
            "printf \"$f\" 'a[$(reboot)]'",
            "exit 'a[$(reboot)]'",
            "return \"$x\"",
            "shift 'a[$(reboot)]'",
            "break 'a[$(reboot)]'",
            "ulimit -n 'a[$(reboot)]'",
            "umask \"$x\"",
            "read -t 'a[$(reboot)]' x",
            "read -u \"$x\" y",
            "mapfile -n 'a[$(reboot)]' x",
            "declare -n x='a[$(reboot)]'",
            "typeset -E x=1",
            "typeset -Z3 x=1",
            "export -f ls",
            "set -a",
            "set -k",
            "set -o allexport",
            "[ -R 'a[$(reboot)]' ]",
            "fg 'a[$(reboot)]'",
            "print -P '$(reboot)'",
            "integer x='a[$(reboot)]'",
            "hist -e sh",
            "history -s x",
            "COLUMNS='a[1]' ls",
            "trap - 'a[$(reboot)]'",
        ],
    );
    for harmless in
        ["[ $? -eq 0 ]", "exit $?", "exit 1", "printf '%03d\\n' 7", "OPTIND=1", "COLUMNS=200 ps aux"]
    {
        assert!(judged(harmless).facts.read_only, "{harmless}: {:?}", judged(harmless).facts);
    }
}

#[test]
fn quotes_of_one_shell_alone_are_not_read() {
    none_passes(
        "quotes",
        &[
            "sh -c $'#; rm -rf /'",
            "echo $'a'",
            "echo $\"a\"",
            "cat $'x\\n'",
            "ls \"a\"$'b'",
            "\\x72m -rf /",
            "echo a\\n",
            "echo \\162",
            "cat a\\cb",
            "echo \\u0072",
            "echo a\\;\\e",
        ],
    );
    for harmless in ["echo a\\ b", "ls \\*", "find . -name \\*.c", "echo \\$x", "echo 'a\\n'", "\\ls"] {
        assert!(judged(harmless).facts.read_only, "{harmless}: {:?}", judged(harmless).facts);
    }
}

#[test]
fn find_runs_up_to_its_own_end() {
    none_passes(
        "find",
        &[
            "find . -exec echo + -exec rm -rf {} \\;",
            "find . -exec env + rm -rf / \\;",
            "find . -exec grep -e + x ; -delete",
            "find . -exec true {} + -delete",
            "find . -exec ls",
            "find . -fls",
            "find . -unknown x",
            "find . -name x -exec sh {} \\;",
            "find [.-]delete",
            "find . -execdir {} \\;",
        ],
    );
}

#[test]
fn braces_make_several_words() {
    none_passes(
        "braces",
        &[
            "rm {x},-rf,/home/u}",
            "rm {{x},-rf,/home/u}",
            "rm {-rf,\"$x\"}",
            "cp {a..c}",
            "tee {x,/etc/passwd}",
            "truncate -s 0 .s*/authorized_keys",
            "cd /; tee e*/passwd",
            "uniq in{1,2}",
            "uniq *",
            "xxd *",
            "rm {'a b',-rf,/}",
            "sort {-o,x}",
        ],
    );
}

#[test]
fn the_server_of_rsync_is_only_what_clients_start() {
    for command in [
        "rsync --server -logDtpre --sender . /etc/cron.d/",
        "rsync --server --log-format --sender . /etc",
        "rsync --server -e --sender . /etc",
        "rsync --server --sender --log-format=x -e . /etc",
        "rsync --server --sender -logDtpre.iLsfxCIvu --temp-dir --sender . /y",
        "rsync --server -logDtpre.iLsfxCIvu --sender . /etc",
        "rsync --server --sender -logDtpre.iLsfxCIvu /etc",
        "rsync --server --sender -logDtpre.iLsfxCIvu -- . /etc",
        "rsync --server --sender -logDtpree.iLsfxCIvu . /etc",
        "rsync --server --sender -logDtpreiLs . /etc",
        "rsync --server --sender -M--log-file=x . /etc",
        "rsync --server --sender -T/x -e.LsfxCIvu . /etc",
        "rsync --server --send -e.LsfxCIvu . /etc",
        "rsync --server --sender -le.LsfxCIvu --log-file=/etc/x . /etc",
        "rsync --server --sender -le.LsfxCIvu --no-log-f . /etc",
        "rsync --server --sender -le.LsfxCIvu . -x",
    ] {
        assert_eq!(judged(command).transfer, None, "{command}");
        assert!(!passes(command, false), "{command}");
    }
    for command in ["rsync --server --sender -se.LsfxCIvu", "rsync --server -slogDtpre.iLsfxCIvu"] {
        assert!(!passes(command, false), "what follows on its input is not seen: {command}");
    }
    let command =
        "rsync --server -logDtpre.iLsfxCIvu --partial-dir=/p --temp-dir=/t --backup-dir=/b . /srv/in";
    let judged = judged(command);
    assert_eq!(judged.facts.paths, ["/b", "/p", "/srv/in", "/t"].map(str::to_owned).into());
}

#[test]
fn readers_only_read() {
    none_passes(
        "readers",
        &[
            "apt-cache -o APT::x=y show z",
            "apt-cache -c f show z",
            "xxd -R always in out",
            "zstdcat -o out in",
            "zstdcat --rm in",
            "lz4 in out",
            "lz4 -d in out",
            "diff3 --diff-program=x a b c",
            "sysctl -f /tmp/x",
            "sysctl -p /tmp/x",
            "sysctl --system",
            "docker -c ctx ps",
            "docker --context=x ps",
            "file -C -m x",
            "file -z x",
            "blkid -w x",
            "base64 -o out in",
            "getent --service=x passwd",
            "tree -o out",
            "tar cf x -T list",
            "tar cf x --files-from=list",
            "sar -o out 1",
            "ifconfig eth0 down",
            "arp -d 10.0.0.1",
            "iptables-restore",
            "man --html=x ls",
            "ls --made-up",
            "cat --made-up",
            "sort --compress-prog=x f",
            "comm --made-up a b",
            "knife-like -x 'sh -c y'",
            "patch < f",
            "mknod x b 8 0",
        ],
    );
    for command in ["xxd -r -p in out", "xxd -r - out", "uniq in out", "sort -o out in"] {
        let facts = judged(command).facts;
        assert!(
            facts.effects.contains(&Effect::Write) && facts.paths.contains("out"),
            "{command}: {facts:?}"
        );
    }
}

#[test]
fn variables_that_are_not_known_decide() {
    none_passes(
        "variables",
        &[
            "RSYNC_CONNECT_PROG=x rsync a::b c",
            "XDG_CONFIG_HOME=/tmp git status",
            "KUBECONFIG=/tmp/x kubectl get pods",
            "APT_CONFIG=/tmp/x apt-cache show y",
            "WGETRC=/tmp/x wget http://x",
            "SVN_SSH=x svn ls",
            "CURL_HOME=/tmp curl http://x",
            "LESSKEYIN=x less y",
            "DOCKER_CONFIG=x docker ps",
            "AWS_CONFIG_FILE=x aws s3 ls",
            "INPUTRC=x cat y",
            "FOO=1 ls",
            "env FOO=1 ls",
            "sudo FOO=1 ls",
            "export FOO=1; ls",
            "declare -x FOO=1",
            "typeset -x FOO",
            "KUBECONFIG=/tmp/x; kubectl get pods",
            "for KUBECONFIG in /tmp/x; do kubectl get pods; done",
            "read DOCKER_HOST < x; docker ps",
            "LANG='$(reboot)' ls",
        ],
    );
}

#[test]
fn tools_have_the_options_that_are_known() {
    none_passes(
        "tools",
        &[
            "git clone -qu 'sh -c x' a b",
            "git clone -qc core.sshCommand=x a b",
            "git clone --conf core.sshCommand=x a b",
            "git fetch --upload-pa=x",
            "git push --receive-pack x",
            "git log --outp=x",
            "git -c a=b log",
            "git --exec-path=/tmp log",
            "git --config-env=a=b log",
            "git archive --remote=x HEAD",
            "git -C \"$x\" status",
            "git diff --ext-diff",
            "git grep -Ovi x",
            "service ../../bin/rm x",
            "service nginx ../../x",
            "service nginx status x",
            "sv start ./x",
            "curl --head -o /etc/x -K cfg http://x",
            "curl --head -K cfg http://x",
            "curl -sK cfg http://x",
            "curl --conf cfg http://x",
            "curl --engine x http://x",
            "curl --unix-socket /run/docker.sock http://x/stop",
            "kubectl --kubeconfig=k get pods",
            "kubectl get pods --kubeconfig k",
            "kubectl get pods --as=root",
            "wget --use-askpass=x http://x",
            "wget --execute=x http://x",
            "wget --use-server-timestamp http://x",
            "systemctl --user enable x",
            "systemctl enable /tmp/x.service",
            "systemctl link /tmp/x.service",
            "systemctl edit x",
            "systemctl status --root=/tmp x",
            "rclone --password-command 'sh -c x' ls y:",
            "aws s3 rm s3://x",
            "helm --post-renderer x template y",
            "ssh -P tag host ls",
            "ssh -oProxyCommand=x host ls",
            "ssh -E log host ls",
            "docker exec x rm -rf /",
            "docker ps --made-up",
            "journalctl --made-up",
            "dpkg --root=/tmp -l",
            "apt -oA=b list",
            "apt --made-up list",
            "apt-get -y -f install ./x.deb",
            "make -C x",
            "time -ao x ls; gtime -o x rm -rf /",
            "sudo -h host ls",
            "timeout --made-up 5 ls",
            "ionice -c3 --made-up ls",
            "find . | xargs --made-up ls",
            "rm --made-up x",
            "cp --made-up a b",
            "tar --made-up -tf x",
        ],
    );
    for (command, path) in [
        ("curl --head -o /etc/x http://y", "/etc/x"),
        ("curl --etag-save /etc/x http://y", "/etc/x"),
        ("curl --output-dir /etc -O http://y", "/etc"),
        ("curl --create-dirs -o /etc/cron.d/x http://y", "/etc/"),
    ] {
        assert!(!passes(command, false) || judged(command).facts.paths.contains(path), "{command}");
    }
}

#[test]
fn an_unknown_program_is_handed_nothing_that_runs() {
    none_passes(
        "strangers",
        &[
            "tini node -e 'x'",
            "tini -- python3.11 x",
            "tini zsh-5.9 x",
            "tini bash-static x",
            "gosu root reboot",
            "gosu root systemctl stop x",
            "echo 'reboot' | xargs tini",
            "tini $x",
            "tini \"$x\"",
            "tini reboo{t,}",
            "tini /sbin/reboo[t]",
            "bat --pager 'sh -c x' f",
            "bat --pager='sh -c x' f",
            "bat --pager=sh f",
            "rpmquery --eval '%(x)'",
            "frobnicate -e 'do this'",
            "frobnicate -c 'do this'",
            "frobnicate -c'do this'",
            "frobnicate --eval='do this'",
            "frobnicate --exec 'do this'",
            "frobnicate 'sudo reboot'",
            "frobnicate --run=/usr/sbin/reboot",
            "frobnicate mkfs.ext4 /dev/sda",
            "frobnicate tee /etc/passwd",
            "/tmp/ls",
            "./deploy.sh",
            "/opt/x/bin/tool",
            "../../usr/bin/x",
            "~/x",
            "xyz-wrap git clean -fdx",
        ],
    );
    for harmless in
        ["deploy-app --env production v2", "deploy-app restart-all", "nginx -t", "ab -n 1 http://x/"]
    {
        assert!(passes(harmless, false), "{harmless}: {:?}", judged(harmless).facts);
    }
}

#[test]
fn editors_and_pagers_wait_for_the_owner() {
    let commands = [
        "git commit --amend",
        "git commit",
        "git -p status",
        "git --paginate status",
        "dpkg -l",
        "git revert HEAD",
        "git tag -a v1",
        "git add -p",
        "git branch --edit-description",
        "git merge x",
        "git pull",
        "git cherry-pick -e x",
        "git stash -p",
        "git checkout -p",
        "git config -e",
        "git help log",
        "dmesg -H",
        "git branch",
        "timedatectl",
        "apt list",
        "git tag",
        "systemctl",
        "kubectl edit x",
        "crontab -e",
    ];
    let passed: Vec<&&str> = commands.iter().filter(|command| passes(command, true)).collect();
    assert!(passed.is_empty(), "{passed:#?}");
}

#[test]
fn files_of_the_system_are_marked_however_they_are_named() {
    for (command, mark) in [
        ("echo k >> .ssh/authorized_keys", "~/.ssh/"),
        ("echo k >> ~/.ssh/authorized_keys2", "~/.ssh/"),
        ("echo k >> ~root/.ssh/authorized_keys", "~/.ssh/"),
        ("echo k >> /home/bob/.ssh/authorized_keys", "~/.ssh/"),
        ("cd .ssh; tee authorized_keys", "~/.ssh/"),
        ("cd /etc/ssh; echo x > sshd_config", "/etc/"),
        ("cd /; cd etc; rm passwd", "/etc/"),
        ("cd /etc/ssh && cd .. && touch passwd", "/etc/"),
        ("pushd /etc; cp /tmp/x hosts", "/etc/"),
        ("cp x /proc/self/root/etc/passwd", "/proc/"),
        ("echo x > /etc/cron.d/x", "/etc/"),
        ("tee /etc/sudoers.d/x", "/etc/"),
        ("install -m 755 x /usr/local/bin/ls", "/usr/"),
        ("mv /etc/passwd /tmp/x", "/etc/"),
        ("rm /etc/passwd", "/etc/"),
        ("truncate -s 0 /etc/../etc/shadow", "/etc/"),
        ("sed -i s/a/b/ /etc/hosts", "/etc/"),
        ("curl -o /usr/bin/x http://y", "/usr/"),
        ("tar xf x -C /etc/cron.d", "/etc/"),
        ("ln -s /tmp/x /lib/y.so", "/lib/"),
        ("echo x >> ~/.bashrc", "~/.bashrc"),
        ("echo x >> .profile", "~/.profile"),
        ("touch /root/.ssh/rc", "~/.ssh/"),
        ("echo x > /var/spool/cron/crontabs/root", "/var/spool/cron/"),
        ("env -C /etc tee passwd", "/etc/"),
        ("sudo -D /etc tee passwd", "/etc/"),
        ("rmdir /etc/x", "/etc/"),
        ("dd of=/etc/x", "/etc/"),
        ("mkdir /lib64/x", "/lib64/"),
    ] {
        assert!(judged(command).facts.paths.contains(mark), "{command}: {:?}", judged(command).facts);
    }
    none_passes(
        "unknown folders",
        &[
            "cd \"$x\"; touch passwd",
            "echo x > ../../etc/passwd",
            "cd ..; cd ..; rm etc/passwd",
            "cd -; touch x",
        ],
    );
    for command in [
        "echo x > /srv/app/x",
        "touch x",
        "cd /srv/app && touch x",
        "echo x >> /tmp/.ssh-x",
        "cat /etc/hosts",
    ] {
        assert!(!judged(command).facts.paths.iter().any(|path| path.ends_with('/')), "{command}");
    }
}
