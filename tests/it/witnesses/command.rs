//! `hoopctl audit witness` as a process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use hoopctl::ledger::checkpoint::Checkpoint;
use hoopctl::ledger::cosignature::WitnessKey;
use hoopctl::ledger::note::Signer;
use hoopctl::ledger::tree::{Hash, Tree, consistency_proof};
use hoopctl::ledger::witness::Request;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::env::{Env, program};

/// What it cosigned is never cosigned differently, whatever happens to the process.
#[tokio::test(flavor = "multi_thread")]
async fn a_witness_outlives_its_process_and_does_not_start_without_its_memory() {
    let env = Env::new("");
    let log = Signer::new("example.org/log", &[1; 32]).expect("a key");
    let key = log.verifier().to_string();
    let options = ["audit", "witness", "--listen", "127.0.0.1:0", "--name", "w.example", "--key", "w.key"];
    let options = [&options[..], &["--state", "memory", "--log", &key]].concat();
    let fails = async |code: i32, says: &str| {
        let ran = env.run(&options).await.ends(code);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    };
    fails(78, "the witness's key `w.key` is missing").await;

    let mut witness = Process::start(&env, &[&options[..], &["--new"]].concat());
    let ask = async |witness: &Process, old: u64, new: u64, other: u64| {
        let mut tree = Tree::default();
        (0..new).for_each(|leaf| tree.push(Hash::leaf(&(leaf + other).to_be_bytes())));
        let proof = consistency_proof(&tree, old, new).filter(|_| old < new).unwrap_or_default();
        let note = Checkpoint { size: new, root: tree.root() }.sign(&log);
        let body = Request { old, proof, note: &note }.to_string();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer = client.post(format!("{}add-checkpoint", witness.url)).body(body).send().await;
        let answer = answer.expect("an answer");
        let kind = answer.headers().get("content-type").map(|kind| kind.to_str().expect("text").to_owned());
        (answer.status().as_u16(), kind.unwrap_or_default(), answer.text().await.expect("text"), note)
    };
    let (status, _, line, note) = ask(&witness, 0, 5, 0).await;
    assert_eq!(status, 200, "{line}");
    let text = note.split_once("\n\n").expect("a note").0.to_owned() + "\n";
    witness.key.find(&text, &line).expect("it cosigned");
    fails(78, "another witness uses `memory`").await;

    // at the moment that the answer is there, what it says is on the disk
    for size in 6..=25 {
        let (status, _, said, _) = ask(&witness, size - 1, size, 0).await;
        assert_eq!(status, 200, "{said}");
        witness.child.kill().expect("it dies");
        witness.child.wait().expect("it is gone");
        witness = Process::start(&env, &options);
        let (status, kind, known, _) = ask(&witness, 0, size, 7).await;
        let size = format!("{size}\n");
        assert_eq!((status, kind.as_str(), known), (409, "text/x.tlog.size", size));
    }
    let (status, _, said, _) = ask(&witness, 25, 30, 7).await;
    assert_eq!(status, 422, "{said}");
    let pid = Pid::from_raw(i32::try_from(witness.child.id()).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::TERM).expect("it hears");
    assert_eq!(witness.child.wait().expect("it ends").code(), Some(0));

    let state = env.home().join("memory");
    let files = std::fs::read_dir(&state).expect("a folder").map(|entry| entry.expect("an entry").path());
    let file =
        files.into_iter().find(|path| path.is_file() && !path.ends_with("lock")).expect("what it kept");
    let kept = std::fs::read_to_string(&file).expect("text");
    std::fs::write(&file, kept.replace("\n25\n", "\n24\n")).expect("written");
    fails(65, "the kept checkpoint: ").await;
    std::fs::remove_file(&file).expect("removed");
    fails(65, "nothing is kept of the log `example.org/log`").await;
    // another log's, in its place
    std::fs::write(&file, &kept).expect("written");
    let other = Signer::new("example.org/log", &[2; 32]).expect("a key").verifier().to_string();
    let renamed = [&options[..options.len() - 1], &[other.as_str()]].concat();
    let ran = env.run(&renamed).await.ends(65);
    assert!(ran.stderr.contains("the kept checkpoint: "), "{}", ran.stderr);
    let misnamed: Vec<&str> =
        options.iter().map(|word| if *word == "w.example" { "v.example" } else { word }).collect();
    env.run(&misnamed).await.ends(78).tells("error: the witness's key is that of `w.example`");
    let garbled: Vec<&str> = options.iter().map(|word| if *word == key { "x+y+z" } else { word }).collect();
    env.run(&garbled).await.ends(64);
    Process::start(&env, &options);
}

struct Process {
    child: Child,
    url: String,
    key: WitnessKey,
}

impl Process {
    fn start(env: &Env, options: &[&str]) -> Self {
        let mut child = Command::new(program())
            .args(options)
            .env_clear()
            .env("HOME", env.home())
            .current_dir(env.home())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut next = |before: &str| {
            let line = lines.next().expect("a line").expect("text");
            line.strip_prefix(before).unwrap_or_else(|| panic!("{line}")).to_owned()
        };
        let url = format!("http://{}/", next("the witness listens on "));
        let key = WitnessKey::parse(&next("its key is ")).expect("a key");
        Self { child, url, key }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _gone = self.child.wait();
    }
}
