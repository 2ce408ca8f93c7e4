//! Programs with commands of their own: `git`, `docker`, `rsync`, `curl`, package managers.

use super::call::Call;
use super::judge::Judge;
use super::options::Spec;
use super::word::Word;
use crate::domain::facts::Effect;

impl Judge {
    /// Judges a program by its own commands; `false` when it is none of these.
    pub(super) fn tool(&mut self, call: Call<'_>) -> bool {
        match call.name {
            "git" => self.git(call),
            "git-upload-pack" | "git-upload-archive" | "git-receive-pack" | "git-shell" => {
                self.unjudged();
                call.words.iter().for_each(|word| self.path(word.path()));
            }
            "docker" | "podman" | "nerdctl" => self.docker(call),
            "docker-compose" => self.effects(&[Effect::Network, Effect::Unjudged]),
            "kubectl" | "oc" => self.kubectl(call),
            "helm" | "aws" | "gcloud" | "az" | "gsutil" | "s3cmd" | "rclone" => self.cloud(call),
            "rsync" => self.rsync(call),
            "scp" => {
                self.effects(&[Effect::Network, Effect::Write]);
                let given = self.given_openly(&Spec::new("346ABCOpqRrTv", "ciJlPX", ""), call.words);
                given.operands.iter().for_each(|word| self.path_like(word));
                if let Some(target) = given.operands.last()
                    && target.as_known().is_none_or(|text| !text.contains(':'))
                {
                    self.writes(target);
                }
            }
            "sftp-server" | "internal-sftp" => self.effects(&[Effect::Unjudged, Effect::Write]),
            "curl" | "wget" | "wget2" | "http" | "https" | "httpie" | "axel" | "fetch" => self.download(call),
            "ping" | "ping6" | "traceroute" | "tracepath" | "mtr" | "dig" | "host" | "nslookup" | "whois"
            | "drill" | "arping" => {
                self.effect(Effect::Network);
                // `-f` and `-k` of dig read a file of queries, and a tracer may load a module
                let tells =
                    matches!(call.name, "ping" | "ping6" | "host" | "nslookup" | "whois" | "tracepath");
                let plain = |word: &Word| match word.as_known() {
                    Some(text) if text.starts_with('-') => {
                        text.chars().skip(1).all(|c| "46AanPqvbcitwWsrRmxI0123456789".contains(c))
                    }
                    Some(text) => !text.contains(['`', '$', ' ']),
                    None => tells,
                };
                if !call.words.iter().all(plain) {
                    self.unjudged();
                }
            }
            "apt" | "apt-get" | "aptitude" | "yum" | "dnf" | "zypper" | "pacman" | "apk" | "brew"
            | "snap" | "flatpak" | "pkg" | "opkg" => {
                self.packages(call);
            }
            "dpkg" => {
                let spec = Spec::new(
                    "lLsSp",
                    "",
                    "list listfiles status search get-selections print-architecture print-avail version",
                );
                let given = self.given_openly(&spec, call.words);
                if given.strange || given.is_bare() {
                    self.effects(&[Effect::Code, Effect::Write, Effect::Unjudged]);
                } else if given.short("l") || given.long(&["list"]) {
                    self.pager(call.context);
                }
            }
            "rpm" => {
                let spec =
                    Spec::new("qailfcdVRv", "", "changelog last all info list query whatprovides requires");
                let given = self.given_openly(&spec, call.words);
                if given.strange || !(given.short("q") || given.long(&["query"])) {
                    self.effects(&[Effect::Code, Effect::Write, Effect::Unjudged]);
                }
            }
            _ => return false,
        }
        true
    }

    fn docker(&mut self, call: Call<'_>) {
        let given = self.given(&Spec::new("Dv", "l", "debug log-level= version").leading(), call.words);
        let rest = given.operands.get(1..).unwrap_or_default();
        let second = rest.first().and_then(Word::as_known);
        let spec = Spec::new(
            "aqslft",
            "fn",
            "all quiet size latest no-trunc follow timestamps digests tree no-stream filter= format= last= tail= since= \
             until= type= signal= time= force volumes link verbose human",
        );
        let spec = match given.verb() {
            // `-f` follows; elsewhere it filters, formats, or forces
            Some("logs") => Spec::new("ft", "n", "follow timestamps details since= until= tail="),
            Some("rm" | "rmi" | "system" | "image" | "volume" | "container" | "network") => {
                Spec::new("aqfvl", "", "all quiet force volumes link filter= format= no-trunc verbose")
            }
            Some("top") => Spec::new("", "", "").leading(),
            Some("restart" | "stop" | "kill") => Spec::new("", "ts", "time= signal= timeout="),
            _ => spec,
        };
        let own = self.given(&spec, rest);
        // `-t` is the program's own, and so may be a word that is not known
        let strange = given.hidden || given.strange || own.strange || own.hidden;
        match (given.verb(), second) {
            _ if strange => self.effects(&[Effect::Network, Effect::Unjudged]),
            (
                Some(
                    "ps" | "images" | "logs" | "inspect" | "version" | "info" | "stats" | "top" | "port"
                    | "diff" | "history" | "events",
                ),
                _,
            ) => {}
            (
                Some(
                    "image" | "container" | "volume" | "network" | "system" | "node" | "service" | "context",
                ),
                Some("ls" | "list" | "inspect" | "df" | "info" | "ps" | "logs"),
            ) => {}
            (_, Some("prune" | "rm" | "remove")) | (Some("rm" | "rmi"), _) => {
                self.effects(&[Effect::Delete, Effect::DeleteTree]);
            }
            (Some("stop" | "kill" | "restart" | "pause"), _) | (_, Some("stop" | "kill" | "restart")) => {
                self.effect(Effect::Stop);
            }
            (Some("start" | "unpause" | "tag" | "wait"), _) => self.changes(),
            (Some("pull" | "push" | "login" | "search"), _) => self.effect(Effect::Network),
            _ => self.effects(&[Effect::Network, Effect::Unjudged]),
        }
    }

    fn kubectl(&mut self, call: Call<'_>) {
        // another cluster, another user, a program that gives the credentials: `--kubeconfig`, `--as`, `--server`
        let spec = Spec::new(
            "Awf",
            "nloLc",
            "namespace= all-namespaces selector= field-selector= output= watch follow previous tail= since= container= \
             all-containers timestamps show-labels sort-by= no-headers label-columns= for= timeout= limit-bytes= client \
             short recursive containers all prefix since-time= replicas= ignore-not-found",
        );
        let given = self.given(&spec, call.words);
        self.effect(Effect::Network);
        match given.verb() {
            Some(
                "get" | "describe" | "logs" | "version" | "top" | "explain" | "api-resources"
                | "api-versions" | "cluster-info" | "wait",
            ) => {}
            Some("auth")
                if matches!(given.operands.get(1).and_then(Word::as_known), Some("can-i" | "whoami")) => {}
            Some("delete" | "drain") => self.effects(&[Effect::Delete, Effect::DeleteTree]),
            Some("scale" | "rollout" | "cordon" | "uncordon") => self.effect(Effect::Stop),
            _ => self.unjudged(),
        }
        if given.hidden {
            self.unjudged();
        }
    }

    /// What is elsewhere: only what lists or shows is known, and only with options that choose what.
    fn cloud(&mut self, call: Call<'_>) {
        self.effect(Effect::Network);
        let spec = Spec::new(
            "Aahlr",
            "n",
            "region= output= query= no-cli-pager max-items= namespace= project= format= recursive human-readable summarize",
        );
        let given = self.given_openly(&spec, call.words);
        let words: Vec<&str> = given.operands.iter().filter_map(Word::as_known).collect();
        let removes = |word: &&str| {
            matches!(
                *word,
                "rm" | "rb"
                    | "delete"
                    | "purge"
                    | "sync"
                    | "uninstall"
                    | "del"
                    | "move"
                    | "terminate-instances"
            ) || word.starts_with("delete-")
        };
        if words.iter().any(removes) {
            self.effects(&[Effect::Delete, Effect::DeleteTree]);
        }
        let shows = |word: &str| {
            matches!(
                word,
                "ls" | "list"
                    | "show"
                    | "lsd"
                    | "lsl"
                    | "size"
                    | "about"
                    | "version"
                    | "describe"
                    | "history"
                    | "status"
            ) || ["describe-", "list-", "get-caller-"].iter().any(|start| word.starts_with(start))
        };
        let verb = match call.name {
            "helm" | "gsutil" | "s3cmd" | "rclone" => words.first(),
            "aws" => words.get(1),
            _ => words.last(),
        };
        if !verb.is_some_and(|verb| shows(verb)) {
            self.unjudged();
        }
        if call.name == "aws" && !given.long(&["no-cli-pager"]) {
            self.pager(call.context);
        }
        given.operands.iter().for_each(|word| self.path_like(word));
    }

    fn rsync(&mut self, call: Call<'_>) {
        let spec = Spec::new(
            "vqcarRbudlLkKHpEAXogtDOJUNnWxCSzhPi0y8",
            "efTB",
            "verbose quiet checksum archive recursive relative no-relative backup backup-dir= suffix= update inplace \
             append append-verify dirs old-dirs links copy-links copy-unsafe-links safe-links copy-dirlinks \
             keep-dirlinks hard-links perms executability chmod= acls xattrs owner group devices specials times atimes \
             omit-dir-times omit-link-times super fake-super sparse preallocate dry-run whole-file no-whole-file \
             one-file-system existing ignore-existing remove-source-files del delete delete-before delete-during \
             delete-delay delete-after delete-excluded ignore-missing-args delete-missing-args ignore-errors force \
             max-delete= max-size= min-size= partial partial-dir= delay-updates prune-empty-dirs numeric-ids usermap= \
             groupmap= chown= timeout= contimeout= ignore-times size-only modify-window= temp-dir= fuzzy compare-dest= \
             copy-dest= link-dest= compress compress-choice= compress-level= skip-compress= cvs-exclude exclude= \
             include= exclude-from= include-from= files-from= from0 port= blocking-io stats human-readable progress \
             itemize-changes out-format= log-file= log-file-format= password-file= list-only bwlimit= protocol= \
             iconv= checksum-seed= no-perms no-owner no-group no-times no-implied-dirs info= debug= ipv4 ipv6 mkpath \
             filter= rsh= write-batch= only-write-batch= no-motd secluded-args",
        );
        let given = self.given(&spec, call.words);
        self.effect(Effect::Write);
        if given.long(&[
            "delete",
            "del",
            "delete-before",
            "delete-after",
            "delete-during",
            "delete-delay",
            "delete-excluded",
            "delete-missing-args",
            "remove-source-files",
        ]) {
            self.effects(&[Effect::Delete, Effect::DeleteTree]);
        }
        let plain_rsh = given.values("e", "rsh").iter().all(|word| word.as_known() == Some("ssh"));
        if !plain_rsh || given.hidden {
            self.unjudged();
        }
        self.write_all(&given.values("T", "temp-dir"));
        for name in ["backup-dir", "log-file", "only-write-batch", "partial-dir", "write-batch"] {
            self.write_all(&given.values("", name));
        }
        for name in ["compare-dest", "copy-dest", "link-dest", "exclude-from", "include-from", "files-from"] {
            self.read_all(&given.values("", name));
        }
        let remote = |word: &Word| word.as_known().is_none_or(|text| text.contains(':'));
        if given.operands.iter().any(remote) {
            self.effect(Effect::Network);
        }
        match given.operands.split_last() {
            Some((target, sources)) if !sources.is_empty() && !remote(target) => {
                self.writes(target);
                self.read_all(sources);
            }
            _ => given.operands.iter().for_each(|word| self.path_like(word)),
        }
    }

    fn download(&mut self, call: Call<'_>) {
        self.effect(Effect::Network);
        let spec = match call.name {
            "curl" => CURL,
            "wget" | "wget2" => WGET,
            _ => {
                self.unjudged();
                call.words.iter().for_each(|word| self.path_like(word));
                return;
            }
        };
        let given = self.given(&spec, call.words);
        let mut files = Vec::new();
        if call.name == "curl" {
            files.extend(given.values("oDc", "output"));
            for name in [
                "cookie-jar",
                "dump-header",
                "etag-save",
                "trace",
                "trace-ascii",
                "stderr",
                "output-dir",
                "hsts",
            ] {
                files.extend(given.values("", name));
            }
            for sent in given.values("T", "upload-file") {
                self.reads(&sent);
            }
            // the name is the server's, or in the address
            if given.short("OJ") || given.long(&["remote-name", "remote-name-all"]) {
                self.effect(Effect::Write);
                if given.values("", "output-dir").is_empty() {
                    self.alters_here();
                }
            }
            // other protocols than the web's do other things; a file is one of this host's
            let web = |word: &Word| {
                word.as_known().is_none_or(|text| {
                    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
                    scheme.is_none_or(|scheme| matches!(scheme.as_str(), "http" | "https" | "ftp" | "ftps"))
                })
            };
            if !given.operands.iter().chain(&given.values("", "url")).all(web) {
                self.unjudged();
            }
        } else {
            files.extend(given.values("oOaP", "output-document"));
            for name in ["output-file", "append-output", "directory-prefix", "save-cookies"] {
                files.extend(given.values("", name));
            }
            let standard =
                given.values("O", "output-document").iter().any(|word| word.as_known() == Some("-"));
            let spider = given.long(&["spider"]);
            if !(standard || spider) {
                self.effect(Effect::Write);
                if given.values("OP", "output-document").is_empty()
                    && given.values("", "directory-prefix").is_empty()
                {
                    self.alters_here();
                }
            }
        }
        files.retain(|word| word.as_known() != Some("-"));
        self.write_all(&files);
        if given.hidden && call.words.iter().any(|word| matches!(word, Word::Unknown { splits: true, .. })) {
            self.unjudged();
        }
    }

    fn packages(&mut self, call: Call<'_>) {
        // options name programs to run before and after, other sources, other roots
        let spec = Spec::new(
            "yqdfmvsuShal",
            "",
            "yes assume-yes assumeyes quiet no-install-recommends no-install-suggests installed upgradable all-versions \
             download-only fix-broken fix-missing simulate dry-run only-upgrade reinstall purge auto-remove autoremove \
             names-only no-cache available cacheonly refresh best nobest allowerasing",
        );
        let spec = if call.name == "pacman" { Spec::new("QSsiqeltmno", "", "") } else { spec };
        let given = self.given_openly(&spec, call.words);
        // a package that is a file runs what is in it
        let plain = |word: &Word| {
            word.as_known()
                .is_some_and(|text| !text.contains('/') && !text.ends_with(".deb") && !text.ends_with(".rpm"))
        };
        if !given.operands.iter().all(plain) {
            self.unjudged();
        }
        if matches!(call.name, "apt" | "dnf" | "flatpak" | "snap") {
            self.pager(call.context);
        }
        if call.name == "pacman" {
            self.changes();
            if !given.short("Q") {
                self.effects(&[Effect::Network, Effect::Write]);
            }
            return;
        }
        match given.verb() {
            Some(
                "list" | "show" | "search" | "policy" | "info" | "check-update" | "repolist" | "depends"
                | "rdepends" | "outdated",
            ) => {}
            Some(
                "remove" | "purge" | "autoremove" | "erase" | "uninstall" | "clean" | "del" | "autoclean",
            ) => {
                self.effects(&[Effect::Delete, Effect::Write]);
            }
            Some("changelog" | "edit-sources" | "source") => self.unjudged(),
            Some(
                "install" | "update" | "upgrade" | "full-upgrade" | "dist-upgrade" | "reinstall" | "add"
                | "download",
            ) => {
                self.effects(&[Effect::Network, Effect::Write]);
            }
            _ => self.effects(&[Effect::Network, Effect::Write, Effect::Unjudged]),
        }
    }
}

const CURL: Spec = Spec::new(
    "0123468aBfGgIiJjkLlMNnOpqRSsv#",
    "AbCcDdEeFHmoPQrTuwXxYyzt",
    "output= header= request= data= data-binary= data-raw= data-urlencode= data-ascii= json= user= user-agent= \
     cookie= cookie-jar= form= form-string= max-time= connect-timeout= retry= retry-delay= retry-max-time= \
     retry-connrefused retry-all-errors write-out= cacert= capath= cert= key= resolve= connect-to= upload-file= \
     referer= range= url= dump-header= trace= trace-ascii= stderr= output-dir= etag-save= etag-compare= hsts= \
     max-redirs= limit-rate= speed-limit= speed-time= interface= continue-at= time-cond= fail fail-with-body \
     silent show-error location head include insecure verbose compressed remote-name remote-name-all \
     remote-header-name remote-time create-dirs get globoff ipv4 ipv6 http1.1 http2 http1.0 http3 tlsv1.2 tlsv1.3 \
     no-progress-meter progress-bar no-buffer parallel location-trusted path-as-is tcp-nodelay basic anyauth digest \
     noproxy= keepalive-time= no-keepalive ssl-reqd tls-max= trace-time version",
);
const WGET: Spec = Spec::new(
    "bcdEFHhkKLmNnpqrSvVxcp46",
    "oOaPtTwQUADRl",
    "output-document= output-file= append-output= directory-prefix= header= user-agent= user= password= quiet \
     no-verbose verbose continue timestamping tries= timeout= wait= limit-rate= no-check-certificate ca-certificate= \
     certificate= private-key= post-data= method= body-data= spider server-response recursive level= no-parent \
     accept= reject= no-clobber show-progress max-redirect= inet4-only inet6-only save-cookies= load-cookies= \
     content-on-error retry-connrefused no-cache no-directories no-host-directories cut-dirs= page-requisites \
     convert-links mirror dns-timeout= connect-timeout= read-timeout= referer=",
);
