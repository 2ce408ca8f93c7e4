//! The ledger's key: a program has it, it is changed, and somebody swaps it.

mod changes;
mod commands;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use hoopctl::broker::ledger::LedgerError;
use hoopctl::ledger::note::VerifierKey;
use sha2::{Digest as _, Sha256};

/// An Ed25519 key that OpenSSL has, and the program that signs with it.
struct Outside {
    folder: PathBuf,
    /// The public half, as hoopctl writes it.
    public: VerifierKey,
}

impl Outside {
    /// Makes one in `folder` for the log of this name.
    fn make(folder: &Path, log: &str) -> Self {
        let run = |arguments: &[&str]| {
            let output = Command::new("openssl").args(arguments).current_dir(folder).output();
            let output = output.unwrap_or_else(|_| panic!("openssl is not here"));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        run(&["genpkey", "-algorithm", "ed25519", "-out", "outside.pem"]);
        let der = run(&["pkey", "-in", "outside.pem", "-pubout", "-outform", "DER"]);
        let key = &der[der.len() - 32..];
        let id = Sha256::digest([log.as_bytes(), b"\n\x01", key].concat());
        let id: String = id.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let encoded = {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode([&[1], key].concat())
        };
        let public = VerifierKey::parse(&format!("{log}+{id}+{encoded}")).expect("a key");
        std::fs::write(folder.join("sign.sh"), SIGN).expect("written");
        let outside = Self { folder: folder.to_owned(), public };
        outside.behaves("good");
        outside
    }

    /// The command that signs.
    fn words(&self) -> Vec<String> {
        let script = self.folder.join("sign.sh").display().to_string();
        vec!["/bin/sh".into(), script, self.folder.display().to_string()]
    }

    fn behaves(&self, how: &str) {
        let new = self.folder.join("how.new");
        std::fs::write(&new, how).expect("written");
        std::fs::rename(new, self.folder.join("how")).expect("renamed");
    }

    /// How often it was started.
    fn starts(&self) -> usize {
        std::fs::read(self.folder.join("starts")).map_or(0, |starts| starts.len())
    }
}

/// What is said of a ledger that nobody has open. A process that is just being started, by whatever test, has the lock of this one's
/// until it runs its program.
fn unlocked<T>(act: impl Fn() -> Result<T, LedgerError>) -> Result<T, LedgerError> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match act() {
            Err(LedgerError::InUse) if Instant::now() < until => std::thread::yield_now(),
            done => return done,
        }
    }
}

/// What an operator would write, and ways in which it goes wrong.
const SIGN: &str = r#"
cd "$1" || exit 1
printf x >> starts
text=$(mktemp) || exit 1
trap 'rm -f "$text"' EXIT
cat > "$text"
echo "the secret is hunter2" >&2
sign() { openssl pkeyutl -sign -inkey outside.pem -rawin -in "$1" | base64 -w0; }
case $(cat how) in
  good) sign "$text" ;;
  another-text) echo more >> "$text"; sign "$text" ;;
  another-key) openssl genpkey -algorithm ed25519 -out other.pem 2>&-
    openssl pkeyutl -sign -inkey other.pem -rawin -in "$text" | base64 -w0 ;;
  garbage) echo "no signature" ;;
  more) sign "$text"; echo; sign "$text" ;;
  nothing) ;;
  endless) yes ;;
  dies) exit 3 ;;
  signs-and-dies) sign "$text"; exit 3 ;;
  hangs) sleep 600 ;;
  signs-and-hangs) sign "$text"; exec >&-; sleep 600 ;;
esac
"#;
