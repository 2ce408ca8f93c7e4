//! The keys that `[ledger]` names.

use std::path::Path;

use super::reader::Section;
use crate::broker::ledger::{KeyPlace, LedgerKeys};
use crate::ledger::note::VerifierKey;

/// Reads where the ledger's keys are; in a file below `data_dir` when nothing is said.
pub(super) fn read(section: Option<&Section<'_, '_>>, base: &Path, data_dir: &Path) -> LedgerKeys {
    let own = || KeyPlace::File(data_dir.join("pki").join("ledger.key"));
    let Some(section) = section else { return LedgerKeys { key: own(), previous: None } };
    let key = place(section, "key", base);
    let previous = place(section, "previous_key", base);
    // the key before must not be taken for the new one by leaving that out
    if previous.is_some() && !section.has("key") {
        section.fault("previous_key", "is of no use without `key`, the new one");
    }
    if previous.is_some() && previous == key {
        section.fault("previous_key", "is the same as `key`");
    }
    LedgerKeys { key: key.unwrap_or_else(own), previous }
}

fn place(section: &Section<'_, '_>, key: &'static str, base: &Path) -> Option<KeyPlace> {
    let source = section.section(key)?;
    let file = source.text("file").map(|file| KeyPlace::File(base.join(file)));
    let keyring = source.parsed("keyring", |name| {
        let fits = (1..=63).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if fits {
            Ok(KeyPlace::Keyring(name.to_owned()))
        } else {
            Err("is 1 to 63 of letters, digits and -_.")
        }
    });
    let words: Vec<String> = source.texts("command").into_iter().map(|at| at.value).collect();
    let public = source.parsed("public", VerifierKey::parse);
    let named = [source.has("file"), source.has("keyring"), source.has("command")];
    if named.iter().filter(|is_named| **is_named).count() != 1 {
        section.fault(key, "must name exactly one of file, keyring and command");
    }
    if source.has("command") != source.has("public") {
        section.fault(
            key,
            "needs `command` and `public` together: a command's answers are checked with its public key",
        );
    }
    if source.has("command") && words.first().is_none_or(String::is_empty) {
        source.fault("command", "must name a program");
    }
    source.finish();
    let command = public
        .filter(|_| !words.is_empty())
        .map(|public| KeyPlace::Command { words, public: Box::new(public) });
    file.or(keyring).or(command)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

    use std::path::Path;

    use crate::broker::config::{Config, ConfigError};
    use crate::broker::ledger::KeyPlace;
    use crate::ledger::note::Signer;

    fn parse(more: &str) -> Result<Config, ConfigError> {
        Config::parse(&format!("{}\n{more}", Config::template()), Path::new("/etc/hoopctl"))
    }

    #[test]
    fn keys_are_in_a_file_a_keyring_or_with_a_command() {
        let keys = parse("").unwrap().ledger_keys;
        let KeyPlace::File(path) = &keys.key else { panic!("{keys:?}") };
        assert!(path.ends_with("pki/ledger.key") && keys.previous.is_none());
        let public = Signer::new("log", &[1; 32]).unwrap().verifier().clone();
        let text = format!(
            "[ledger]\nkey = {{ command = ['sign', '--key', 'one'], public = '{public}' }}\n\
             previous_key = {{ file = 'old.key' }}\n"
        );
        let keys = parse(&text).unwrap().ledger_keys;
        let words = ["sign", "--key", "one"].map(str::to_owned).to_vec();
        assert_eq!(keys.key, KeyPlace::Command { words, public: Box::new(public) });
        assert_eq!(keys.previous, Some(KeyPlace::File("/etc/hoopctl/old.key".into())));
        let keys = parse("[ledger]\nkey = { keyring = 'ledger-2027' }\n").unwrap().ledger_keys;
        assert_eq!(keys.key, KeyPlace::Keyring("ledger-2027".into()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let public = Signer::new("log", &[1; 32]).unwrap().verifier().clone();
        for (more, says) in [
            ("key = { file = 'a', keyring = 'b' }", "exactly one of"),
            ("key = {}", "exactly one of"),
            ("key = { command = ['sign'] }", "`command` and `public` together"),
            ("key = { file = 'a', public = 'x' }", "NAME+ID+KEY"),
            ("key = { keyring = 'a b' }", "letters, digits"),
            ("key = 'a'", "must be a table"),
            ("previous_key = { file = 'a' }", "of no use without"),
            ("key = { file = 'a' }\nprevious_key = { file = 'a' }", "the same as"),
            (&format!("key = {{ command = [], public = '{public}' }}"), "must name a program"),
            (&format!("key = {{ file = 'a', public = '{public}' }}"), "together"),
        ] {
            let Err(ConfigError::Faults(faults)) = parse(&format!("[ledger]\n{more}\n")) else {
                panic!("{more} is taken")
            };
            assert!(faults.iter().any(|fault| fault.message.contains(says)), "{more}: {faults:?}");
        }
    }
}
