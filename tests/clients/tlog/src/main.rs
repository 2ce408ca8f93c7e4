//! Judges a log with implementations that are not hoopctl's.
//!
//! `tlog FOLDER PROOFS`: the folder has `key`, `checkpoint` and `tile/…`; the file has lines `inclusion INDEX ENTRY PROOF` and
//! `consistency SIZE ROOT PROOF`, entries and roots in base64, proofs as hashes in base64 with commas between, or `-`.
//! One line for each judgement goes to standard output: who judged what, and `accepted` or why not.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash, digest::Output};
use sha2::Sha256;
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{
    Checkpoint, Error, Hash, HashReader, Tile, TileHashReader, TileReader, check_record, check_tree,
    record_hash, stored_hash_index,
};

type Judgement = Result<(), String>;

fn main() {
    let mut arguments = std::env::args().skip(1).map(PathBuf::from);
    let (Some(log), Some(proofs)) = (arguments.next(), arguments.next()) else {
        panic!("usage: tlog FOLDER PROOFS")
    };
    let head = match checkpoint(&log) {
        Ok(head) => head,
        Err(why) => return say("signed_note", "checkpoint", Err(why)),
    };
    say("signed_note", "checkpoint", Ok(()));
    let (size, root) = (head.size(), *head.hash());
    say("tlog_tiles", "tiles", tiles(&log, size, root));
    for line in std::fs::read_to_string(proofs).expect("the proofs").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [kind, number, bytes, proof] = words[..] else { panic!("`{line}`") };
        let (at, bytes): (u64, _) =
            (number.parse().expect("a number"), STANDARD.decode(bytes).expect("base64"));
        let proof: Vec<Hash> = proof
            .split(',')
            .filter(|hash| *hash != "-")
            .map(|hash| Hash::parse_hash(hash).expect("a hash"))
            .collect();
        let what = format!("{kind} {at}");
        let digests: Vec<Output<Sha256>> = proof.iter().map(|hash| hash.0.into()).collect();
        let now = RootHash::<Sha256>::new(root.0.into(), size);
        if kind == "inclusion" {
            let judged =
                check_record(&proof, size, root, at, record_hash(&bytes)).map_err(|error| error.to_string());
            say("tlog_tiles", &what, judged);
            let proof = InclusionProof::<Sha256>::from_digests(digests.iter());
            let judged = now.verify_inclusion(&bytes, at, &proof).map_err(|error| error.to_string());
            say("ct-merkle", &what, judged);
        } else {
            let old: [u8; 32] = bytes.try_into().expect("a root");
            let judged = check_tree(&proof, size, root, at, Hash(old)).map_err(|error| error.to_string());
            say("tlog_tiles", &what, judged);
            let proof = ConsistencyProof::<Sha256>::from_digests(digests.iter());
            let old = RootHash::<Sha256>::new(old.into(), at);
            say("ct-merkle", &what, now.verify_consistency(&old, &proof).map_err(|error| error.to_string()));
        }
    }
}

fn checkpoint(log: &Path) -> Result<Checkpoint, String> {
    let text = |error: &dyn std::fmt::Debug| format!("{error:?}");
    let read = |name: &str| std::fs::read(log.join(name)).map_err(|error| text(&error));
    let key = String::from_utf8(read("key")?).map_err(|error| text(&error))?;
    let key = StandardVerifier::new(key.trim()).map_err(|error| text(&error))?;
    let bytes = read("checkpoint")?;
    let note = Note::from_bytes(&bytes).map_err(|error| text(&error))?;
    note.verify(&VerifierList::new(vec![Box::new(key)])).map_err(|error| text(&error))?;
    Checkpoint::from_bytes(note.text()).map_err(|error| text(&error))
}

/// Every entry of every bundle, under tiles that the root authenticates.
fn tiles(log: &Path, size: u64, root: Hash) -> Judgement {
    let files = Files(log);
    let reader = TileHashReader::new(size, root, &files);
    for start in (0..size).step_by(256) {
        let width = (size - start).min(256);
        let tile = Tile::new(8, 0, start / 256, u32::try_from(width).expect("it fits"), false);
        let bundle = files.read(&tile.path().replacen("tile/8/0/", "tile/entries/", 1))?;
        let indices: Vec<u64> = (start..start + width).map(|index| stored_hash_index(0, index)).collect();
        let hashes = reader.read_hashes(&indices).map_err(|error| error.to_string())?;
        let mut rest = bundle.as_slice();
        for (index, hash) in (start..).zip(hashes) {
            let (length, after) = rest.split_first_chunk::<2>().ok_or(format!("entry {index} is missing"))?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (entry, after) = after.split_at_checked(length).ok_or(format!("entry {index} is cut"))?;
            if record_hash(entry) != hash {
                return Err(format!("entry {index} has another hash"));
            }
            rest = after;
        }
        if !rest.is_empty() {
            return Err(format!("bytes after the bundle at {start}"));
        }
    }
    Ok(())
}

struct Files<'a>(&'a Path);

impl Files<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(self.0.join(path)).map_err(|error| format!("{path}: {error}"))
    }
}

impl TileReader for Files<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        // C2SP leaves the height out, which is always 8
        let paths = tiles.iter().map(|tile| tile.path().replacen("tile/8/", "tile/", 1));
        paths.map(|path| self.read(&path).map_err(|_| Error::InvalidTile)).collect()
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

fn say(who: &str, what: &str, judged: Judgement) {
    match judged {
        Ok(()) => println!("{who}: {what}: accepted"),
        Err(why) => println!("{who}: {what}: refused: {}", why.replace('\n', " ")),
    }
}
