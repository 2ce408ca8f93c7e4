//! Cosignatures of witnesses (C2SP `tlog-cosignature`, the Ed25519 type).
//!
//! Job: a witness's keys, and its statement that a checkpoint is the largest consistent one that it has seen of a log at
//! a time: made, read, checked. Boundary: text and numbers; the time comes from above, and whether it is recent is
//! for whoever asks. Failure mode: a line of the witness's own key that does not fit is an error; lines of other keys
//! are passed over.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::note::{KeyText, NoteError, id_text, key_id, key_text, line, lines};

/// The public half of a witness's key: `NAME+ID+KEY` of signature type 4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

/// A witness's statement about one checkpoint, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// When it was made, in seconds since 1970, by the witness's clock. Never 0.
    pub time: u64,
    /// The line of the note that it stands on, with its final newline.
    pub line: String,
}

impl WitnessKey {
    /// The witness's name, which need not be an address.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key itself: two witnesses with the same one are the same.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Parses `NAME+ID+KEY`.
    ///
    /// # Errors
    /// [`NoteError`] when it is not an Ed25519 key of type 4, its id is not that of its key, or anybody could sign for it.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let KeyText { name, id, key } =
            KeyText::read(text, COSIGNATURE).map_err(|_| NoteError::WitnessKey)?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| NoteError::WitnessKey)?;
        let parsed = Self::new(name, key)?;
        if id_text(parsed.id) == id && !key.is_weak() { Ok(parsed) } else { Err(NoteError::WitnessKey) }
    }

    /// Finds this witness's cosignature of a checkpoint's text among signature lines, each with its final newline; of
    /// several, the latest.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`] when none is this witness's; [`NoteError::BadSignature`] when one of them is wrong, also
    /// beside a good one.
    pub fn find(&self, text: &str, signatures: &str) -> Result<Cosignature, NoteError> {
        let mut found: Option<Cosignature> = None;
        for read in lines(signatures)? {
            let read = read?;
            if read.name != self.name || read.id != self.id {
                continue;
            }
            let (time, signature) = read.signature.split_first_chunk::<8>().ok_or(NoteError::BadSignature)?;
            let time = u64::from_be_bytes(*time);
            let signature = Signature::from_slice(signature).map_err(|_| NoteError::BadSignature)?;
            if time == 0 || i64::try_from(time).is_err() {
                return Err(NoteError::BadSignature);
            }
            let signed = message(text, time);
            self.key.verify_strict(signed.as_bytes(), &signature).map_err(|_| NoteError::BadSignature)?;
            if found.as_ref().is_none_or(|found| found.time < time) {
                found = Some(Cosignature { time, line: line(&self.name, self.id, &read.signature) });
            }
        }
        found.ok_or(NoteError::Unsigned)
    }

    fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        let id = key_id(name, COSIGNATURE, key.as_bytes())?;
        Ok(Self { name: name.into(), id, key })
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(&self.name, self.id, COSIGNATURE, self.key.as_bytes()))
    }
}

/// The private half.
pub struct Cosigner {
    key: SigningKey,
    public: WitnessKey,
}

impl Cosigner {
    /// The key with this name and these 32 secret bytes.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn new(name: &str, secret: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(secret);
        let public = WitnessKey::new(name, key.verifying_key())?;
        Ok(Self { key, public })
    }

    /// Parses `PRIVATE+KEY+NAME+ID+SECRET`.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let rest = text.trim_end_matches('\n').strip_prefix("PRIVATE+KEY+").ok_or(NoteError::WitnessKey)?;
        let KeyText { name, id, key } =
            KeyText::read(rest, COSIGNATURE).map_err(|_| NoteError::WitnessKey)?;
        let cosigner = Self::new(name, &key)?;
        if id_text(cosigner.public.id) == id { Ok(cosigner) } else { Err(NoteError::WitnessKey) }
    }

    /// The key as a text that [`Cosigner::parse`] reads. It is the secret itself.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        let key = key_text(&self.public.name, self.public.id, COSIGNATURE, self.key.as_bytes());
        format!("PRIVATE+KEY+{key}\n")
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &WitnessKey {
        &self.public
    }

    /// Cosigns a checkpoint's text, which ends in a newline, at a time in seconds since 1970; returns the line for its note.
    #[must_use]
    pub fn cosign(&self, text: &str, time: u64) -> String {
        let signature = self.key.sign(message(text, time).as_bytes()).to_bytes();
        let bytes = [time.to_be_bytes().as_slice(), &signature].concat();
        line(&self.public.name, self.public.id, &bytes)
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cosigner").field("public", &self.public).finish_non_exhaustive()
    }
}

/// What is signed (`tlog-cosignature`, "Ed25519 signed message").
fn message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// The signature type of timestamped Ed25519 cosignatures in `signed-note`.
const COSIGNATURE: u8 = 4;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

    use proptest::prelude::*;

    use super::{Cosigner, WitnessKey};
    use crate::ledger::note::{NoteError, Signer, VerifierKey};

    /// Made by PyPI's `aics-tlog` 0.2.1 with the secret bytes 0 to 31.
    const THEIR_KEY: &str = "witness.example.com/w1+a0059f11+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
    const TEXT: &str =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    const THEIR_LINE: &str = "\u{2014} witness.example.com/w1 oAWfEQAAAABkGFDLBuRDazBLVac2NE+Y+IjbjQOcXLfF9CSDZVUIoS83rE1nFZsVE8YiWV6Ngr7lV8H6bdoBQGP/l73euDMQ9k+bBQ==\n";

    fn secret() -> [u8; 32] {
        std::array::from_fn(|place| u8::try_from(place).unwrap())
    }

    #[test]
    fn it_is_made_and_read_as_another_implementation_does() {
        let ours = Cosigner::new("witness.example.com/w1", &secret()).unwrap();
        assert_eq!(ours.public().to_string(), THEIR_KEY);
        assert_eq!(ours.cosign(TEXT, 1_679_315_147), THEIR_LINE);
        let key = WitnessKey::parse(THEIR_KEY).unwrap();
        let found = key.find(TEXT, THEIR_LINE).unwrap();
        assert_eq!((found.time, found.line.as_str()), (1_679_315_147, THEIR_LINE));
        assert_eq!(Cosigner::parse(&ours.to_secret_text()).unwrap().public(), &key);
    }

    /// The name and key id of the specification's example are told apart from those of others; whose key it is, is not
    /// published.
    #[test]
    fn the_line_of_the_specification_is_passed_over_by_all_other_keys() {
        let note = "\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
            \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
        let key = WitnessKey::parse(THEIR_KEY).unwrap();
        assert_eq!(key.find(TEXT, note), Err(NoteError::Unsigned));
        assert!(key.find(TEXT, &format!("{note}{THEIR_LINE}")).is_ok());
    }

    #[test]
    fn a_wrong_line_of_the_witness_is_no_line_of_somebody_else() {
        let key = WitnessKey::parse(THEIR_KEY).unwrap();
        assert_eq!(key.find(&TEXT.replace('2', "3"), THEIR_LINE), Err(NoteError::BadSignature));
        let ours = Cosigner::new("witness.example.com/w1", &secret()).unwrap();
        for time in [0, u64::MAX] {
            assert_eq!(key.find(TEXT, &ours.cosign(TEXT, time)), Err(NoteError::BadSignature), "{time}");
        }
        // also beside a good one
        let both = format!("{THEIR_LINE}{}", ours.cosign("another\n", 7));
        assert_eq!(key.find(TEXT, &both), Err(NoteError::BadSignature));
        let later = ours.cosign(TEXT, 1_700_000_000);
        assert_eq!(key.find(TEXT, &format!("{later}{THEIR_LINE}")).unwrap().line, later);
        for odd in ["", "\n", "x\n", THEIR_LINE.trim_end(), &THEIR_LINE.replace("==\n", "=\n")] {
            assert_eq!(key.find(TEXT, odd), Err(NoteError::Malformed), "{odd:?}");
        }
    }

    /// The same secret as a log's key and as a witness's makes two keys that do not stand in for each other.
    #[test]
    fn a_logs_key_is_no_witnesss_key() {
        let log = Signer::new("both.example", &secret()).unwrap();
        let witness = Cosigner::new("both.example", &secret()).unwrap();
        assert_eq!(WitnessKey::parse(&log.verifier().to_string()), Err(NoteError::WitnessKey));
        assert_eq!(VerifierKey::parse(&witness.public().to_string()), Err(NoteError::Key));
        let note = log.sign(TEXT);
        let (_, lines) = note.rsplit_once("\n\n").unwrap();
        assert_eq!(witness.public().find(TEXT, lines), Err(NoteError::Unsigned));
        let cosigned = format!("{TEXT}\n{}", witness.cosign(TEXT, 7));
        assert_eq!(log.verifier().open(&cosigned), Err(NoteError::Unsigned));
        assert!(log.verifier().open(&format!("{note}{}", witness.cosign(TEXT, 7))).is_ok());
    }

    /// Under a point of small order anybody could sign.
    #[test]
    fn a_key_that_is_everybodys_is_none() {
        use base64::Engine as _;
        let mut point = [0; 33];
        point[0] = 4;
        point[1] = 1;
        let id = crate::ledger::note::key_id("w", 4, point[1..].try_into().unwrap()).unwrap();
        let text = crate::ledger::note::key_text("w", id, 4, point[1..].try_into().unwrap());
        assert!(text.ends_with(&base64::engine::general_purpose::STANDARD.encode(point)));
        assert_eq!(WitnessKey::parse(&text), Err(NoteError::WitnessKey));
    }

    proptest! {
        #[test]
        fn what_was_cosigned_is_found_and_nothing_else(
            secret: [u8; 32], text in "[a-z]{1,8}\n[0-9]{1,9}\n", time in 1..u64::MAX / 2, flip in 0_usize..72 * 8,
        ) {
            let cosigner = Cosigner::new("w", &secret).unwrap();
            let line = cosigner.cosign(&text, time);
            let found = cosigner.public().find(&text, &line).unwrap();
            prop_assert_eq!((found.time, &found.line), (time, &line));
            let parsed = WitnessKey::parse(&cosigner.public().to_string());
            prop_assert_eq!(parsed.as_ref(), Ok(cosigner.public()));

            // one bit of time or signature
            let read = crate::ledger::note::lines(&line).unwrap().next().unwrap().unwrap();
            let mut bytes = read.signature.clone();
            bytes[flip / 8] ^= 1 << (flip % 8);
            let flipped = crate::ledger::note::line("w", read.id, &bytes);
            prop_assert_eq!(cosigner.public().find(&text, &flipped), Err(NoteError::BadSignature));
            let other = format!("x{text}");
            prop_assert_eq!(cosigner.public().find(&other, &line), Err(NoteError::BadSignature));
        }
    }
}
