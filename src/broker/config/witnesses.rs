//! The `[[witness]]` tables, and what `[ledger]` says of them.

use std::time::Duration;

use url::Url;

use super::identity::secure_url;
use super::reader::Section;
use crate::ledger::cosignature::WitnessKey;

/// Who cosigns the ledger's checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessesConfig {
    /// The witnesses.
    pub all: Vec<WitnessConfig>,
    /// How many must have cosigned a checkpoint; more than half of them when nothing is said.
    pub quorum: usize,
    /// How old what they have not cosigned may become before the broker says so; 10 minutes by default.
    pub patience: Duration,
}

impl Default for WitnessesConfig {
    fn default() -> Self {
        Self { all: Vec::new(), quorum: 1, patience: Duration::from_secs(600) }
    }
}

/// A witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessConfig {
    /// Its name here.
    pub name: String,
    /// Its key.
    pub key: WitnessKey,
    /// Its submission prefix (C2SP tlog-witness), with a final slash.
    pub url: Url,
}

/// Reads both; of `[ledger]` only what is about witnesses.
pub(super) fn read(root: &Section<'_, '_>, ledger: Option<&Section<'_, '_>>) -> WitnessesConfig {
    let mut all: Vec<WitnessConfig> = Vec::new();
    let mut found = 0_usize;
    for section in root.sections("witness") {
        found += 1;
        if found > MOST {
            section.fault("name", format!("there are more than {MOST} witnesses"));
        }
        let name = section.required_parsed("name", |text| {
            let fits = text.len() <= 63 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if fits { Ok(text.to_owned()) } else { Err("is 1 to 63 of letters, digits and -") }
        });
        if let Some(name) = name.as_ref().filter(|name| all.iter().any(|other| other.name == **name)) {
            section.fault("name", format!("`{name}` is used for two witnesses"));
        }
        let key = section.required_parsed("key", WitnessKey::parse);
        // INVARIANT: a key counts once, whatever it is called
        if let Some(other) =
            key.as_ref().and_then(|key| all.iter().find(|other| other.key.as_bytes() == key.as_bytes()))
        {
            section.fault("key", format!("is the key of the witness `{}` too", other.name));
        }
        let url = section.required_parsed("url", |text| {
            let mut url = secure_url(text)?;
            if url.query().is_some() || url.fragment().is_some() {
                return Err("must have no query and no fragment".to_owned());
            }
            let path = format!("{}/", url.path().trim_end_matches('/'));
            url.set_path(&path);
            Ok(url)
        });
        section.finish();
        if let (Some(name), Some(key), Some(url)) = (name, key, url) {
            all.push(WitnessConfig { name, key, url });
        }
    }
    let mut config = WitnessesConfig { all, quorum: found / 2 + 1, ..WitnessesConfig::default() };
    if let Some(section) = ledger {
        if found == 0 && section.has("quorum") {
            section.fault("quorum", "is of no use without a [[witness]]");
        } else if let Some(wanted) = section.number("quorum", 1..i64::try_from(found + 1).unwrap_or(i64::MAX))
        {
            config.quorum = usize::try_from(wanted).unwrap_or(usize::MAX);
        }
        config.patience = section.duration("witness_patience").unwrap_or(config.patience);
    }
    config
}

/// Each costs a submission each ten seconds.
const MOST: usize = 32;

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests fail by panicking"
    )]

    use std::path::Path;
    use std::time::Duration;

    use crate::broker::config::{Config, ConfigError};
    use crate::ledger::cosignature::Cosigner;
    use crate::ledger::note::Signer;

    fn key(number: u8) -> String {
        Cosigner::new(&format!("w{number}"), &[number; 32]).unwrap().public().to_string()
    }

    fn witness(name: &str, key: &str, url: &str) -> String {
        format!("[[witness]]\nname = \"{name}\"\nkey = \"{key}\"\nurl = \"{url}\"\n")
    }

    fn parse(more: &str) -> Result<Config, ConfigError> {
        Config::parse(&format!("{}\n{more}", Config::template()), Path::new("/etc/hoopctl"))
    }

    #[test]
    fn more_than_half_are_wanted_when_nothing_is_said() {
        for (count, quorum) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)] {
            let all: String =
                (1..=count).map(|n| witness(&format!("w{n}"), &key(n), "https://w.example/at")).collect();
            let config = parse(&all).unwrap().witnesses;
            assert_eq!((config.all.len(), config.quorum), (usize::from(count), quorum));
            assert_eq!(config.patience, Duration::from_secs(600));
            assert_eq!(config.all[0].url.as_str(), "https://w.example/at/");
            let config = parse(&format!("{all}[ledger]\nquorum = 1\nwitness_patience = \"1h\"\n")).unwrap();
            assert_eq!((config.witnesses.quorum, config.witnesses.patience), (1, Duration::from_secs(3600)));
            let warned = config.warnings().iter().any(|warning| warning.contains("two histories"));
            assert_eq!(warned, count > 1);
        }
        assert!(parse("").unwrap().witnesses.all.is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_line() {
        let good = witness("a", &key(1), "https://w.example/");
        let log = Signer::new("w", &[1; 32]).unwrap().verifier().to_string();
        let renamed = Cosigner::new("other", &[1; 32]).unwrap().public().to_string();
        for (more, at, says) in [
            (witness("a", &key(2), "https://w.example/"), "witness.name", "used for two"),
            (
                witness("b", &renamed, "https://w.example/"),
                "witness.key",
                "is the key of the witness `a` too",
            ),
            (witness("b", &log, "https://w.example/"), "witness.key", "it is not a witness's key"),
            (witness("b c", &key(2), "https://w.example/"), "witness.name", "letters, digits"),
            (witness("b", &key(2), "http://w.example/"), "witness.url", "must be https"),
            (witness("b", &key(2), "https://w.example/?x"), "witness.url", "no query"),
            ("[ledger]\nquorum = 2\n".into(), "ledger.quorum", "must be from 1 to 1"),
            ("[ledger]\nquorum = 0\n".into(), "ledger.quorum", "must be from 1 to 1"),
            ("[ledger]\nqorum = 1\n".into(), "ledger.qorum", "quorum"),
        ] {
            let Err(ConfigError::Faults(faults)) = parse(&format!("{good}{more}")) else { panic!("{more}") };
            let [fault] = faults.as_slice() else { panic!("{faults:?}") };
            assert!(fault.key == at && fault.message.contains(says), "{fault}");
            let text = format!("{}\n{good}{more}", Config::template());
            let line = text.lines().nth(fault.line - 1).unwrap();
            assert!(line.starts_with(at.split('.').nth(1).unwrap()), "{fault} is not {line}");
        }
        let Err(ConfigError::Faults(faults)) = parse("[ledger]\nquorum = 1\n") else { panic!("it is taken") };
        assert!(faults[0].message.contains("without a [[witness]]"), "{faults:?}");
    }
}
