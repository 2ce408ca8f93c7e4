#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::{Chunk, ChunkError, ChunkWriter, HEADER, MAX_PLAIN, Place};
use crate::domain::name::SessionId;
use crate::recording::item::ItemKind;
use crate::recording::replay::{Cursor, Item, ReplayError, Speed};

fn place(chunk: u32) -> Place {
    Place { session: SessionId::from_random([5; 16]), connection: 2, chunk }
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(1_700_000_000_000_000 + micros).unwrap()
}

fn count(chunks: &[Vec<u8>]) -> u32 {
    u32::try_from(chunks.len()).unwrap()
}

/// Records items into chunks of at most `limit` bytes.
fn record(items: &[(i64, ItemKind, Vec<u8>)], limit: usize) -> Vec<Vec<u8>> {
    let (mut chunks, mut writer) = (Vec::new(), ChunkWriter::default());
    for (time, kind, bytes) in items {
        let mut rest = Some(bytes.as_slice());
        while let Some(bytes) = rest {
            rest = writer.push(at(*time), *kind, bytes, limit);
            if rest.is_some() {
                chunks.push(std::mem::take(&mut writer).seal(&place(count(&chunks))).unwrap());
            }
        }
    }
    chunks.push(writer.seal(&place(count(&chunks))).unwrap());
    chunks
}

fn replay(chunks: &[Vec<u8>], speed: Speed) -> Result<Vec<Item>, ReplayError> {
    let (mut cursor, mut items) = (Cursor::new(place(0).session, 2, speed), Vec::new());
    for chunk in chunks {
        cursor.feed(chunk)?;
        items.extend(std::iter::from_fn(|| cursor.next_item()));
    }
    items.extend(cursor.finish());
    Ok(items)
}

/// The format is frozen: these bytes never change.
#[test]
fn a_chunk_has_its_golden_header_and_items() {
    let mut writer = ChunkWriter::default();
    assert_eq!(writer.push(at(0), ItemKind::Statement, b"{}", MAX_PLAIN), None);
    assert_eq!(writer.push(at(300), ItemKind::Answer, b"Z", MAX_PLAIN), None);
    assert_eq!(writer.plain, b"\x00\x01\x02{}\xac\x02\x02\x01Z");
    let sealed = writer.seal(&place(7)).unwrap();
    let mut header = b"HOOPREC\x01\0\0\0\x02\0\0\0\x07".to_vec();
    header.extend_from_slice(&1_700_000_000_000_000_i64.to_be_bytes());
    header.extend_from_slice(b"\0\0\0\x0ases_");
    assert!(sealed.starts_with(&header));
    assert_eq!(&sealed[HEADER..HEADER + 4], b"\x28\xb5\x2f\xfd", "zstd's own magic follows");
}

#[test]
fn a_bomb_is_refused_before_it_grows() {
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    let mut chunk = ChunkWriter::default().seal(&place(0)).unwrap();
    chunk.truncate(HEADER);
    let with_length = |length: u32| {
        let mut chunk = chunk.clone();
        chunk[24..28].copy_from_slice(&length.to_be_bytes());
        chunk.extend_from_slice(&bomb);
        Chunk::open(&chunk)
    };
    assert_eq!(with_length(1 << 20), Err(ChunkError::Content));
    assert_eq!(with_length(64 << 20), Err(ChunkError::Header));
}

#[test]
fn chunks_of_other_places_are_not_replayed() {
    let chunks = record(&[(0, ItemKind::Answer, vec![1; 500])], 200);
    assert_eq!(
        replay(&[chunks[0].clone(), chunks[2].clone()], Speed::NORMAL),
        Err(ReplayError::Misplaced(1))
    );
    let mut later = chunks[0].clone();
    later[7] = 2;
    assert_eq!(Chunk::open(&later), Err(ChunkError::UnknownVersion(2)));
}

#[test]
fn speed_is_arithmetic() {
    let chunks = record(&[(0, ItemKind::Answer, vec![1]), (4_000_000, ItemKind::Answer, vec![2])], MAX_PLAIN);
    let waits = |speed| {
        let items = replay(&chunks, Speed::new(speed).unwrap()).unwrap();
        items.iter().map(|item| item.wait).collect::<Vec<_>>()
    };
    assert_eq!(waits(1.0), [Duration::ZERO, Duration::from_secs(4)]);
    assert_eq!(waits(8.0), [Duration::ZERO, Duration::from_millis(500)]);
    for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(Speed::new(speed), None);
    }
}

fn items() -> impl Strategy<Value = Vec<(i64, ItemKind, Vec<u8>)>> {
    let kind = prop_oneof![Just(ItemKind::Statement), Just(ItemKind::Answer), Just(ItemKind::Outcome)];
    let item = (0_i64..5_000_000, kind, proptest::collection::vec(any::<u8>(), 0..200));
    proptest::collection::vec(item, 1..20).prop_map(|mut items| {
        items.sort_by_key(|(time, ..)| *time);
        items
    })
}

proptest! {
    #[test]
    fn what_was_recorded_is_replayed_wherever_it_is_split(items in items(), limit in 20_usize..400) {
        let replayed = replay(&record(&items, limit), Speed::NORMAL).unwrap();
        let times: Vec<_> = replayed.iter().map(|item| (item.at - at(0).as_microsecond(), item.kind, item.bytes.clone())).collect();
        let waited: Duration = replayed.iter().map(|item| item.wait).sum();
        let passed = items[items.len() - 1].0 - items[0].0;
        prop_assert_eq!(i128::try_from(waited.as_micros()), Ok(i128::from(passed)));
        prop_assert_eq!(times, items);
    }

    #[test]
    fn garbage_never_panics_and_stays_small(bytes in proptest::collection::vec(any::<u8>(), 0..200), flip in any::<usize>(), value in any::<u8>()) {
        prop_assert!(Chunk::open(&bytes).is_err());
        let mut good = record(&[(0, ItemKind::Answer, vec![7; 300])], MAX_PLAIN).remove(0);
        let at = flip % good.len();
        good[at] = value;
        if let Ok(chunk) = Chunk::open(&good) {
            prop_assert!(chunk.pieces().map(|piece| piece.bytes.len()).sum::<usize>() <= MAX_PLAIN);
        }
        // an item stream that no writer made
        let writer = ChunkWriter { plain: bytes, ..ChunkWriter::default() };
        let sealed = writer.seal(&place(0)).unwrap();
        prop_assert!(matches!(Chunk::open(&sealed), Ok(_) | Err(ChunkError::Item)));
    }
}
