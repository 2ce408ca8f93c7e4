//! Signed notes (C2SP `signed-note`) with Ed25519.
//!
//! Job: keys, signing a text, opening a note with a key one trusts. Boundary: text in, text out; a
//! key's bytes, or whoever has them and signs, come from above. Failure mode: a note without a good signature of the trusted key is
//! an error; signatures of other keys are passed over, as the specification demands.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// What is wrong with a key or a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoteError {
    /// The signature of the trusted key does not fit the text.
    #[error("its signature is wrong")]
    BadSignature,
    /// It is not a key as `signed-note` writes one.
    #[error("it is not a verifier key: NAME+ID+KEY of an Ed25519 key")]
    Key,
    /// It is not a note.
    #[error("it is not a signed note")]
    Malformed,
    /// A name with spaces or a plus sign, or none at all.
    #[error("a key's name must be non-empty and without spaces and `+`")]
    Name,
    /// The trusted key has not signed it.
    #[error("it is not signed by the trusted key")]
    Unsigned,
    /// It is not the key of a witness.
    #[error("it is not a witness's key: NAME+ID+KEY of an Ed25519 key for cosignatures")]
    WitnessKey,
}

/// The public half: what somebody who verifies must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl VerifierKey {
    /// The key's name, which is also the log's origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Parses `NAME+ID+KEY`.
    ///
    /// # Errors
    /// [`NoteError`] when it is not an Ed25519 key, or its id is not that of its key.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let KeyText { name, id, key } = KeyText::read(text, ED25519)?;
        let parsed = Self::new(name, VerifyingKey::from_bytes(&key).map_err(|_| NoteError::Key)?)?;
        if id_text(parsed.id) == id { Ok(parsed) } else { Err(NoteError::Key) }
    }

    /// What tells it from other keys of the same name, in hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        id_text(self.id)
    }

    /// Whether a signature over a text is this key's.
    #[must_use]
    pub fn verifies(&self, text: &str, signature: &[u8; 64]) -> bool {
        self.key.verify_strict(text.as_bytes(), &Signature::from_bytes(signature)).is_ok()
    }

    /// The key itself, without its name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Checks a note and returns its text, with the final newline.
    ///
    /// # Errors
    /// [`NoteError`]: the text must not be believed then.
    pub fn open<'n>(&self, note: &'n str) -> Result<&'n str, NoteError> {
        let (text, lines) = split(note)?;
        let mut signed = false;
        for line in lines {
            let Line { name, id, signature } = line?;
            if name != self.name || id != self.id {
                continue;
            }
            let signature = Signature::from_slice(&signature).map_err(|_| NoteError::BadSignature)?;
            self.key.verify_strict(text.as_bytes(), &signature).map_err(|_| NoteError::BadSignature)?;
            signed = true;
        }
        if signed { Ok(text) } else { Err(NoteError::Unsigned) }
    }

    fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        let id = key_id(name, ED25519, key.as_bytes())?;
        Ok(Self { name: name.into(), id, key })
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(&self.name, self.id, ED25519, self.key.as_bytes()))
    }
}

/// Signs in the name of a key, which it need not hold itself.
pub trait Sign: Send + Sync {
    /// The public half of the key.
    fn verifier(&self) -> &VerifierKey;

    /// Signs a text that ends in a newline: the 64 bytes of Ed25519 (RFC 8032). Whoever uses them checks them first.
    ///
    /// # Errors
    /// [`SignError`].
    fn signature(&self, text: &str) -> Result<[u8; 64], SignError>;
}

/// Why nothing was signed. Its text tells nothing of a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignError {
    /// Whoever has the key did not answer in order.
    #[error("{0}")]
    Unanswered(String),
    /// What was answered is no signature of the key over the text.
    #[error("what was answered is not the signature of the key {0}")]
    Wrong(String),
}

/// The signature lines of these keys under a text that ends in a newline.
///
/// INVARIANT: no signature is used that was not seen to be the key's own over this very text.
///
/// # Errors
/// [`SignError`].
pub fn signature_lines(text: &str, signers: &[&dyn Sign]) -> Result<String, SignError> {
    signers.iter().try_fold(String::new(), |lines, signer| {
        let (key, signature) = (signer.verifier(), signer.signature(text)?);
        if !key.verifies(text, &signature) {
            return Err(SignError::Wrong(key.to_string()));
        }
        Ok(lines + &line(&key.name, key.id, &signature))
    })
}

/// The private half.
pub struct Signer {
    key: SigningKey,
    verifier: VerifierKey,
}

impl Signer {
    /// The key with this name and these 32 secret bytes.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn new(name: &str, secret: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(secret);
        let verifier = VerifierKey::new(name, key.verifying_key())?;
        Ok(Self { key, verifier })
    }

    /// Parses `PRIVATE+KEY+NAME+ID+SECRET`.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let rest = text.trim_end_matches('\n').strip_prefix("PRIVATE+KEY+").ok_or(NoteError::Key)?;
        let KeyText { name, id, key } = KeyText::read(rest, ED25519)?;
        let signer = Self::new(name, &key)?;
        if id_text(signer.verifier.id) == id { Ok(signer) } else { Err(NoteError::Key) }
    }

    /// The key as a text that [`Signer::parse`] reads. It is the secret itself.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        let key = key_text(&self.verifier.name, self.verifier.id, ED25519, self.key.as_bytes());
        format!("PRIVATE+KEY+{key}\n")
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a text that ends in a newline.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        format!("{text}\n{}", line(&self.verifier.name, self.verifier.id, &signature))
    }
}

impl Sign for Signer {
    fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    fn signature(&self, text: &str) -> Result<[u8; 64], SignError> {
        Ok(self.key.sign(text.as_bytes()).to_bytes())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

/// One signature line of a note, not checked yet.
pub(super) struct Line<'n> {
    /// The name of the key that made it, as it says.
    pub(super) name: &'n str,
    /// That key's id.
    pub(super) id: [u8; 4],
    /// What the key made.
    pub(super) signature: Vec<u8>,
}

/// A note's text, with its final newline, and its signature lines.
pub(super) fn split(
    note: &str,
) -> Result<(&str, impl Iterator<Item = Result<Line<'_>, NoteError>>), NoteError> {
    let (text, signatures) = split_at(note)?;
    Ok((text, lines(signatures)?))
}

/// A note's text that nobody has vouched for yet, with its final newline, and its signature lines.
///
/// # Errors
/// [`NoteError::Malformed`].
pub fn split_text(note: &str) -> Result<(&str, &str), NoteError> {
    split_at(note)
}

/// A note's text, with its final newline, and its signature lines, not read yet, with theirs.
pub(super) fn split_at(note: &str) -> Result<(&str, &str), NoteError> {
    if note.len() > MAX_NOTE {
        return Err(NoteError::Malformed);
    }
    let (body, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
    let text = note.get(..body.len() + 1).ok_or(NoteError::Malformed)?;
    if text.chars().any(|c| c < ' ' && c != '\n') {
        return Err(NoteError::Malformed);
    }
    Ok((text, signatures))
}

/// Signature lines, each with its final newline.
pub(super) fn lines(text: &str) -> Result<impl Iterator<Item = Result<Line<'_>, NoteError>>, NoteError> {
    if text.len() > MAX_NOTE || text.chars().any(|c| c < ' ' && c != '\n') {
        return Err(NoteError::Malformed);
    }
    let lines = text.strip_suffix('\n').ok_or(NoteError::Malformed)?.split('\n');
    Ok(lines.map(|line| {
        let (name, signature) = line
            .strip_prefix("\u{2014} ")
            .and_then(|rest| rest.split_once(' '))
            .ok_or(NoteError::Malformed)?;
        let signature = STANDARD.decode(signature).map_err(|_| NoteError::Malformed)?;
        let (id, signature) = signature.split_first_chunk::<4>().ok_or(NoteError::Malformed)?;
        Ok(Line { name, id: *id, signature: signature.to_vec() })
    }))
}

/// A signature as a line of a note.
pub(super) fn line(name: &str, id: [u8; 4], signature: &[u8]) -> String {
    let bytes = [id.as_slice(), signature].concat();
    format!("\u{2014} {name} {}\n", STANDARD.encode(bytes))
}

/// A key as it is written, `NAME+ID+KEY`, in its parts.
pub(super) struct KeyText<'t> {
    pub(super) name: &'t str,
    pub(super) id: &'t str,
    pub(super) key: [u8; 32],
}

impl<'t> KeyText<'t> {
    /// Reads one that is of this type. That the id is the key's own is for the caller to see.
    pub(super) fn read(text: &'t str, kind: u8) -> Result<Self, NoteError> {
        let mut parts = text.trim_end_matches('\n').splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        let key = STANDARD.decode(key).map_err(|_| NoteError::Key)?;
        match key.split_first() {
            Some((found, key)) if *found == kind => {
                Ok(Self { name, id, key: key.try_into().map_err(|_| NoteError::Key)? })
            }
            _ => Err(NoteError::Key),
        }
    }
}

/// A key as it is written.
pub(super) fn key_text(name: &str, id: [u8; 4], kind: u8, key: &[u8; 32]) -> String {
    let bytes = [&[kind], key.as_slice()].concat();
    format!("{name}+{}+{}", id_text(id), STANDARD.encode(bytes))
}

/// What tells a key from others with its name.
pub(super) fn key_id(name: &str, kind: u8, key: &[u8; 32]) -> Result<[u8; 4], NoteError> {
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+') {
        return Err(NoteError::Name);
    }
    let mut hasher = Sha256::new();
    hasher.update(name.as_bytes());
    hasher.update([b'\n', kind]);
    hasher.update(key);
    let digest: [u8; 32] = hasher.finalize().into();
    Ok(digest.first_chunk::<4>().copied().unwrap_or_default())
}

pub(super) fn id_text(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

/// The signature type of Ed25519 in `signed-note`.
const ED25519: u8 = 1;

/// Room for a checkpoint with scores of witnesses.
const MAX_NOTE: usize = 1 << 18;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::{NoteError, Signer, VerifierKey};

    /// The example of Go's `golang.org/x/mod/sumdb/note`, whose format `signed-note` took over.
    const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\
        \n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn a_note_of_the_go_implementation_opens() {
        let key = VerifierKey::parse(GO_KEY).unwrap();
        let text = key.open(GO_NOTE).unwrap();
        assert!(text.ends_with("what your problem is.\n"));
        assert_eq!(key.to_string(), GO_KEY);
    }

    #[test]
    fn our_notes_open_and_altered_ones_do_not() {
        let signer = Signer::new("example.org/log", &[7; 32]).unwrap();
        let note = signer.sign("a text\n\nwith a gap\n");
        assert_eq!(signer.verifier().open(&note), Ok("a text\n\nwith a gap\n"));
        assert_eq!(signer.verifier().open(&note.replace("gap", "cap")), Err(NoteError::BadSignature));
        let other = Signer::new("example.org/log", &[8; 32]).unwrap();
        assert_eq!(other.verifier().open(&note), Err(NoteError::Unsigned));
        assert_eq!(other.verifier().open("x"), Err(NoteError::Malformed));
    }

    #[test]
    fn further_signatures_are_passed_over() {
        let signer = Signer::new("example.org/log", &[7; 32]).unwrap();
        let witness = Signer::new("example.org/witness", &[9; 32]).unwrap();
        let text = "a text\n";
        let cosigned = witness.sign(text) + signer.sign(text).strip_prefix("a text\n\n").unwrap();
        assert_eq!(signer.verifier().open(&cosigned), Ok(text));
    }

    #[test]
    fn keys_survive_their_text_form() {
        let signer = Signer::new("example.org/log", &[7; 32]).unwrap();
        let again = Signer::parse(&signer.to_secret_text()).unwrap();
        assert_eq!(again.verifier(), signer.verifier());
        assert_eq!(VerifierKey::parse(&signer.verifier().to_string()).as_ref(), Ok(signer.verifier()));
        assert!(Signer::new("two words", &[7; 32]).is_err());
    }
}
