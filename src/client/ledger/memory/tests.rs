#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;

use super::*;
use crate::client::home::Home;
use crate::ledger::note::Signer;
use crate::ledger::tree::Hash;

fn signer(seed: u8) -> Signer {
    Signer::new("log", &[seed; 32]).unwrap()
}

/// A head of so many entries; which ones does not matter here.
fn head(seed: u8, size: u64) -> Head {
    let checkpoint = Checkpoint { size, root: Hash::leaf(&size.to_be_bytes()) };
    let signer = signer(seed);
    Head::open(signer.verifier(), checkpoint.sign(&signer).as_bytes()).unwrap()
}

struct Stage {
    memory: Memory,
    place: BrokerHome,
    _dir: tempfile::TempDir,
}

fn stage() -> Stage {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path().join("state")).unwrap();
    let place = home.broker(&"https://a.example".parse().unwrap()).unwrap();
    Stage { memory: Memory::new(Some(place.clone())), place, _dir: dir }
}

fn size(memory: &Memory) -> Option<u64> {
    memory.read().unwrap().and_then(|remembered| remembered.kept()).map(|kept| kept.size)
}

#[test]
fn a_head_is_remembered_and_never_goes_back() {
    let none = Memory::new(None);
    for memory in [stage().memory, none] {
        // the folder of the first one is gone with its stage
        let stage = stage();
        let memory = if memory.place.is_some() { stage.memory.clone() } else { memory };
        assert_eq!(memory.read().unwrap(), None);
        assert!(memory.advance(None, &head(1, 5)).unwrap());
        let five = memory.read().unwrap().unwrap();
        assert_eq!((five.key.clone(), five.kept().unwrap().size), (signer(1).verifier().clone(), 5));
        assert!(memory.advance(Some(&five), &head(1, 7)).unwrap());
        let seven = memory.read().unwrap().unwrap();
        assert_eq!(seven.kept().unwrap().size, 7);
        assert!(memory.advance(Some(&seven), &head(1, 6)).unwrap());
        assert_eq!(size(&memory), Some(7), "a shorter one changes nothing");
        // whoever has held a head against an older one must look again
        if memory.place.is_some() {
            assert!(!memory.advance(Some(&five), &head(1, 9)).unwrap());
            assert!(!memory.advance(None, &head(1, 9)).unwrap());
        }
        assert!(matches!(memory.advance(Some(&seven), &head(2, 9)), Err(LedgerError::NamedKey)));
        assert_eq!(size(&memory), Some(7));
        assert!(memory.advance(Some(&seven), &head(1, 9)).unwrap());
        assert_eq!(size(&memory), Some(9));
    }
}

#[test]
fn many_commands_at_once_remember_the_longest() {
    let stage = stage();
    std::thread::scope(|scope| {
        for first in 1..=4_u64 {
            let memory = stage.memory.clone();
            scope.spawn(move || {
                let mut last = 0;
                for step in 0..25 {
                    let seen = head(1, first + step * 4);
                    loop {
                        let before = memory.read().unwrap();
                        let kept = before.as_ref().and_then(Remembered::kept).map_or(0, |kept| kept.size);
                        assert!(kept >= last, "{kept} after {last}");
                        last = kept;
                        if memory.advance(before.as_ref(), &seen).unwrap() {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(size(&stage.memory), Some(100));
}

#[test]
fn what_cannot_be_read_is_no_first_visit() {
    let stage = stage();
    stage.memory.advance(None, &head(1, 5)).unwrap();
    let (key, note) = (stage.place.read(KEY).unwrap().unwrap(), stage.place.read(HEAD).unwrap().unwrap());
    stage.place.write(KEY, b"rubbish").unwrap();
    assert!(matches!(stage.memory.read(), Err(LedgerError::Key(_))));
    stage.place.remove(KEY).unwrap();
    assert!(matches!(stage.memory.read(), Err(LedgerError::Half)));
    stage.place.write(KEY, signer(2).verifier().to_string().as_bytes()).unwrap();
    assert!(matches!(stage.memory.read(), Err(LedgerError::Kept(_))));
    stage.place.write(KEY, &key).unwrap();
    stage.place.write(HEAD, b"rubbish").unwrap();
    assert!(matches!(stage.memory.read(), Err(LedgerError::Kept(_))));
    // what the machine lost when it went down; the key stays
    stage.place.write(HEAD, b"").unwrap();
    let remembered = stage.memory.read().unwrap().unwrap();
    assert_eq!(
        (remembered.key.to_string(), remembered.head.clone()),
        (signer(1).verifier().to_string(), None)
    );
    assert!(stage.memory.advance(Some(&remembered), &head(1, 5)).unwrap());
    assert_eq!(stage.place.read(HEAD).unwrap().unwrap(), note);
}

#[test]
fn what_is_given_up_and_what_contradicts_it_are_kept() {
    let stage = stage();
    assert_eq!(stage.memory.forget().unwrap(), None);
    stage.memory.advance(None, &head(1, 5)).unwrap();
    stage.memory.note_shown(Timestamp::UNIX_EPOCH).unwrap();
    let before = stage.memory.read().unwrap().unwrap();
    let shown = |text: &str| [("shown-checkpoint", text.to_owned())];
    let first = stage.memory.witness(Some(&before), &shown("x")).unwrap();
    assert_eq!(stage.memory.witness(Some(&before), &shown("x")), Some(first.clone()), "once");
    let second = stage.memory.witness(Some(&before), &shown("y")).unwrap();
    assert_ne!(first, second);
    let text = |folder: &PathBuf, name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let (key, note) = (format!("{}\n", before.key), before.head.unwrap().0);
    for (folder, shown) in [(&first, "x"), (&second, "y")] {
        assert_eq!(text(folder, "shown-checkpoint"), shown);
        assert_eq!(
            (text(folder, "ledger-key"), text(folder, "ledger-checkpoint")),
            (key.clone(), note.clone())
        );
    }
    let given_up = stage.memory.forget().unwrap().unwrap();
    assert_eq!((text(&given_up, "ledger-key"), text(&given_up, "ledger-checkpoint")), (key, note));
    assert_eq!(stage.memory.read().unwrap(), None);
    assert_eq!(stage.memory.shown().unwrap(), None);
    // a broker that invents something for each visit
    for number in 0..2 * MOST_EVIDENCE {
        assert!(stage.memory.witness(None, &shown(&number.to_string())).is_some());
    }
    assert_eq!(fs::read_dir(first.parent().unwrap()).unwrap().count(), MOST_EVIDENCE);
}

/// Whoever dies while another key is remembered has left the one or the other, whole.
#[test]
fn another_key_is_remembered_only_of_a_head_that_leads_there() {
    let Stage { memory, place, _dir } = stage();
    memory.advance(None, &head(1, 5)).unwrap();
    let before = memory.read().unwrap().unwrap();
    assert!(matches!(memory.advance(Some(&before), &head(2, 9)), Err(LedgerError::NamedKey)));
    let old = (place.read(KEY).unwrap().unwrap(), place.read(HEAD).unwrap().unwrap());
    let (first, second) = (signer(1).verifier().clone(), signer(2).verifier().clone());
    let led = head(2, 9).with_keys([&first, &second]);
    assert!(memory.advance(Some(&before), &led).unwrap());
    let now = memory.read().unwrap().unwrap();
    assert_eq!(
        (now.key.clone(), now.older.clone(), now.kept().unwrap().size),
        (second.clone(), vec![first.clone()], 9)
    );
    assert!(now.has_key(&first) && now.has_key(&second) && !now.has_key(signer(3).verifier()));
    // the key was written, and the head was not
    place.write(HEAD, &old.1).unwrap();
    let torn = memory.read().unwrap().unwrap();
    assert_eq!((torn.key, torn.head.unwrap().1.size), (second.clone(), 5));
    // the other way round it is no memory: that is why the key comes first
    place.write(KEY, &old.0).unwrap();
    place.write(HEAD, head(2, 9).note.as_bytes()).unwrap();
    assert!(matches!(memory.read(), Err(LedgerError::Kept(_))));
    place.write(KEY, format!("{second}\nrubbish\n").as_bytes()).unwrap();
    assert!(matches!(memory.read(), Err(LedgerError::Key(_))));
}
