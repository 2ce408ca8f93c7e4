//! Witnesses that answer whatever they like.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hoopctl::ledger::cosignature::{Cosigner, WitnessKey};
use hoopctl::ledger::note::Signer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Ledger, Ours};

/// None of them counts, ends anything, or keeps the others waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_answers_anything_counts_for_nothing_and_stops_nobody() {
    let ledger = Ledger::make(9).await;
    let good = Ours::start("good.example", ledger.writer.key().clone()).await;
    let theirs = Cosigner::new("bad.example", &[3; 32]).expect("a key");
    let text = {
        let note = std::fs::read_to_string(ledger.dir.path().join("checkpoint")).expect("a checkpoint");
        note.split_once("\n\n").expect("a note").0.to_owned() + "\n"
    };
    let now = u64::try_from(hoopctl::gateway::clock::Clock::system().now().as_second()).expect("a time");
    let answer = |head: &str, body: &str| {
        format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    };
    let size = "409 Conflict\r\ncontent-type: text/x.tlog.size";
    let impostor = Cosigner::new("bad.example", &[4; 32]).expect("a key");
    let log = Signer::new("bad.example", &[3; 32]).expect("a key");
    let as_log = log.sign(&text).rsplit_once("\n\n").expect("a note").1.to_owned();
    let answers = [
        answer("200 OK", &impostor.cosign(&text, now)),
        answer("200 OK", &theirs.cosign("another text\n", now)),
        answer("200 OK", &theirs.cosign(&text, now - 3600)),
        answer("200 OK", &theirs.cosign(&text, now + 3600)),
        answer("200 OK", &as_log),
        answer("200 OK", ""),
        answer("200 OK", "\u{2014} bad.example AAAA\n"),
        answer("200 OK", "\0\n"),
        answer(size, "7\n"),
        answer(size, "9\n"),
        answer(size, "07\n"),
        answer(size, "7"),
        answer(size, "18446744073709551616\n"),
        answer(size, "1000000\n"),
        answer("409 Conflict", "another root\n"),
        answer("302 Found\r\nlocation: /elsewhere", ""),
        answer("204 No Content", ""),
        answer("500 Oh", "no\n"),
        "HTTP/1.1 200 OK\r\n\r\n".to_owned() + ENDLESS,
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".to_owned(),
        "not HTTP\r\n\r\n".to_owned(),
        String::new(),
    ];
    let mut servers = Vec::new();
    let mut named: Vec<(String, WitnessKey, String)> = Vec::new();
    for (number, answer) in answers.into_iter().enumerate() {
        let (url, asked) = serve(answer).await;
        // each is another witness, by the same key: what is tested is each by itself
        named.push((format!("bad-{number}"), theirs.public().clone(), url));
        servers.push(asked);
    }
    named.push(("good".into(), good.key.clone(), good.url.clone()));
    let named: Vec<(&str, &WitnessKey, &str)> =
        named.iter().map(|(name, key, url)| (name.as_str(), key, url.as_str())).collect();
    let witnesses = ledger.witnessed_by(&named, 1);
    let _tasks = witnesses.start();
    let began = std::time::Instant::now();
    let note = ledger.until_cosigned(9).await;
    assert!(began.elapsed() < Duration::from_secs(8), "the others kept it waiting");
    super::until("each to be asked", || servers.iter().all(|asked| asked.load(Ordering::SeqCst) > 0)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let lines: Vec<&str> = note.rsplit_once("\n\n").expect("a note").1.lines().collect();
    assert_eq!(lines.len(), 2, "{note}");
    assert!(lines[1].starts_with("\u{2014} good.example "), "{note}");
    let kept = std::fs::read_to_string(ledger.dir.path().join("cosigned")).expect("it is there");
    assert!(!kept.contains("bad.example"), "{kept}");
    // "7" and "9", though the proof was from there; a million; and the other root: these say that they saw another history
    assert_eq!(witnesses.unwitnessed().disputes, 4, "{:?}", witnesses.unwitnessed());
    // asked once, and a second time where it said from where
    for (number, asked) in servers.iter().enumerate() {
        assert!(asked.load(Ordering::SeqCst) <= 2, "{number}: {asked:?}");
    }
}

/// Gives every request this answer; an endless one goes on as long as somebody reads.
async fn serve(answer: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let _read = socket.read(&mut request).await;
                if let Some(head) = answer.strip_suffix(ENDLESS) {
                    let _sent = socket.write_all(head.as_bytes()).await;
                    while socket.write_all(&[b'x'; 8192]).await.is_ok() {}
                } else if answer.is_empty() {
                    // it hangs
                    tokio::time::sleep(Duration::from_secs(60)).await;
                } else {
                    let _sent = socket.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    (url, asked)
}

const ENDLESS: &str = "…";
